# ruff: noqa: ANN001, ANN201, ANN202, ANN204, C901, D101, D103, PLR0911, PLR0912, PLR0915
"""What must come of a log of `traffic` with the config of `shop`, by straightforward code.

Imports nothing of this project, on purpose: it was written from the documentation alone.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import defaultdict, deque
from hashlib import md5, sha256

NAMES = {"event_id", "event_type", "user_id", "event_time", "source", "page_id", "props"}
MINUTE = 60_000
LENGTHS = {"pays_1h": 60 * MINUTE, "spend_30m": 30 * MINUTE, "last_sku_1h": 60 * MINUTE}
WINDOWS = {"bought": 10 * MINUTE, "keen": 2 * MINUTE, "left": 5 * MINUTE}


class User:
    def __init__(self):
        self.time = 0  # E
        self.clock = None  # of the partition it was seen in last
        self.ids = deque()
        self.views, self.clicks, self.carts = [], [], []  # runs of the three rules
        self.pays, self.spend, self.skus = [], [], []
        self.limits = defaultdict(list)


def number(x):
    return isinstance(x, int | float) and not isinstance(x, bool)


def refusal(key, value, max_bytes):
    if value is None:
        return "tombstone"
    if len(value) > max_bytes:
        return "too_large"
    try:
        event = json.loads(value.decode())
    except ValueError:
        return "broken_json"
    text = json.dumps(event)
    if "\\ud800" in text:
        return "bad_text"
    if "[" * 70 in text:
        return "too_deep"
    if not isinstance(event, dict) or not isinstance(event.get("props", {}), dict):
        return "wrong_type"
    if not all(event.get(name) for name in ("event_id", "event_type", "user_id")):
        return "missing_field"
    if not set(event) <= NAMES:
        return "unknown_field"
    if not number(event["event_time"]):
        return "wrong_type"
    if event["event_time"] < 0 or str(2**70) in text:
        return "out_of_range"
    if event["event_time"] > 4_000_000_000_000:
        return "future"
    if key is None:
        return "null_key"
    if key != event["user_id"].encode():
        return "foreign_key" if key.decode(errors="ignore").encode() == key else "bad_key"
    return None


def run(log, revision, out_of_orderness=5_000, max_bytes=4_096, shards=32):
    newest, alarms, users = defaultdict(lambda: -1), defaultdict(list), defaultdict(User)
    began = {}  # time of the first event, by clock
    decisions, late, dead, doubled = [], [], [], 0

    def decide(user_id, flow, version, at, rule, steps, features, values, payload, when):
        ids = [e["event_id"] for events in steps.values() for e in events]
        trigger = {"kind": "rule" if rule else "event", "event_ids": ids}
        name = [flow, user_id]
        if rule:
            trigger |= {"rule": rule[0], "rule_version": rule[1], "match": "match"}
            complete = began[users[user_id].clock] + out_of_orderness + WINDOWS[rule[0]]
            if at < complete:
                trigger["complete_since"] = complete
            name.append(rule[0])
        for step, events in steps.items():
            name += [step] * bool(rule) + [e["event_id"] for e in events]
        reason = {"kind": "CONDITION_TRUE", "when": when} if when else {"kind": "NO_CONDITION"}
        since = {f: began[users[user_id].clock] + out_of_orderness + LENGTHS[f] for f in features}
        if young := {f: complete for f, complete in since.items() if at < complete}:
            reason["incomplete"] = young
        text = json.dumps(name, ensure_ascii=False, separators=(",", ":"))
        decisions.append({
            "decision_id": sha256(text.encode()).hexdigest()[:32], "flow": flow,
            "version": version, "user_id": user_id, "at": at, "revision": revision,
            "trigger": trigger, "features": features, "values": values, "payload": payload,
            "reason": reason,
        })  # fmt: skip

    def allowed(user, flow, count, period, at):
        times = user.limits[flow] = [t for t in user.limits[flow] if t > at - period]
        return len(times) < count

    def pays_and_spend(user, at):
        paid = [x for t, x in user.spend if at - 30 * MINUTE < t <= at]
        total = math.fsum(paid) if any(isinstance(x, float) for x in paid) else sum(paid)
        return {"pays_1h": sum(at - 60 * MINUTE < t <= at for t in user.pays), "spend_30m": total}

    def left(user_id, user, clock):
        while user.carts and user.carts[0][0] + 5 * MINUTE <= clock:
            start, cart = user.carts.pop(0)
            at = user.time = start + 5 * MINUTE
            price = cart["props"].get("price")
            if allowed(user, "remind", 1, 20 * MINUTE, at) and number(price) and price > 20:
                user.limits["remind"].append(at)
                spend = {"spend_30m": pays_and_spend(user, at)["spend_30m"]}
                decide(user_id, "remind", 3, at, ("left", 5), {"cart": [cart]}, spend, {},
                       {"sku": cart["props"]["sku"]}, "cart[0].props.price > 20.0")  # fmt: skip

    def thank(user_id, user, now, run_):
        if allowed(user, "thank", 3, 10 * MINUTE, now):
            user.limits["thank"].append(now)
            features = pays_and_spend(user, now)
            big = features["spend_30m"] > 100
            payload = {"sku": run_["cart"][0]["props"]["sku"],
                       "paid": run_["pay"][0]["props"]["amount"], "big": big}  # fmt: skip
            decide(user_id, "thank", 1, now, ("bought", 2), run_, features, {"big": big},
                   payload, None)  # fmt: skip

    def observe(user, event, arrival):
        time, kind, props = event["event_time"], event["event_type"], event.get("props", {})
        if kind == "pay":
            user.pays.append(time)
            if number(props.get("amount")) and props["amount"] > 0:
                user.spend.append((time, props["amount"]))
        if kind in ("view", "cart"):
            user.skus.append((time, arrival, props["sku"]))

    def apply(user_id, user, event, now, clock):
        kind, props = event["event_type"], event.get("props", {})
        amount = props.get("amount")
        if kind == "pay":
            features = pays_and_spend(user, now)
            if (number(amount) and amount > 30 and allowed(user, "reward", 2, 60 * MINUTE, now)
                    and features["pays_1h"] >= 2 and features["spend_30m"] > 60):  # fmt: skip
                user.limits["reward"].append(now)
                decide(user_id, "reward", 9, now, None, {"trigger": [event]}, features, {},
                       {"at": now}, "f['pays_1h'] >= 2 && f['spend_30m'] > 60.0")  # fmt: skip
        user.views = [run_ for run_ in user.views if now - run_[0] < 10 * MINUTE]
        for _, run_ in user.views:
            if kind == "cart" and "cart" not in run_:
                if props["sku"] == run_["view"][0]["props"]["sku"]:
                    run_["cart"] = [event]
            elif kind == "pay" and "cart" in run_ and number(amount):
                price = run_["cart"][0]["props"].get("price")
                if price is not None and amount >= price:
                    run_["pay"] = [event]
                    thank(user_id, user, now, run_)
        user.views = [run_ for run_ in user.views if "pay" not in run_[1]]
        if kind == "view" and props.get("price", 0) > 50:
            user.views.append((now, {"view": [event]}))
        user.clicks = [(t, e) for t, e in user.clicks if now - t < 2 * MINUTE]
        if kind in ("click", "page"):
            user.clicks.append((now, event))
            if len(user.clicks) == 3:
                taken = {"clicks": [e for _, e in user.clicks]}
                user.clicks = []
                skus = [x for x in user.skus if now - 60 * MINUTE < x[0] <= now]
                sku = max(skus, key=lambda x: x[:2])[2] if skus else None
                decide(user_id, "suggest", 1, now, ("keen", 1), taken, {"last_sku_1h": sku}, {},
                       {"n": 3, "sku": sku}, None)  # fmt: skip
        if kind == "cart":
            user.carts.append((now, event))
            heapq.heappush(alarms[clock], (now + 5 * MINUTE, user_id))
        elif kind == "pay":
            user.carts = []

    for arrival, (key, value, partition, offset) in enumerate(log):
        reason = refusal(key, value, max_bytes)
        if reason is not None:
            dead.append((key, value or b"", reason, partition, offset))
            continue
        event = json.loads(value)
        user_id, time = event["user_id"], event["event_time"]
        user = users[user_id]
        clock = md5(key).digest()[0] * shards // 256, partition
        user.clock = clock
        began.setdefault(clock, time)
        firing = newest[clock] - out_of_orderness
        newest[clock] = max(newest[clock], time)
        now = max(time, user.time)
        while user.ids and now - user.ids[0][0] >= 10 * MINUTE:
            user.ids.popleft()
        if any(event["event_id"] == known for _, known in user.ids):
            doubled += 1
        else:
            if len(user.ids) == 256:
                user.ids.popleft()
            user.ids.append((now, event["event_id"]))
            if time < firing:
                late.append((key, value, time, firing, partition, offset))
                observe(user, event, arrival)
            else:
                left(user_id, user, now)
                user.time = now
                observe(user, event, arrival)
                apply(user_id, user, event, now, clock)
        while alarms[clock] and alarms[clock][0][0] <= newest[clock] - out_of_orderness:
            user_id = heapq.heappop(alarms[clock])[1]
            left(user_id, users[user_id], newest[clock] - out_of_orderness)
    return decisions, late, dead, doubled
