import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.Serializable;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.api.common.state.KeyedStateStore;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.typeutils.base.IntSerializer;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.cep.nfa.NFA;
import org.apache.flink.cep.nfa.NFAState;
import org.apache.flink.cep.nfa.aftermatch.AfterMatchSkipStrategy;
import org.apache.flink.cep.nfa.compiler.NFACompiler;
import org.apache.flink.cep.nfa.sharedbuffer.SharedBuffer;
import org.apache.flink.cep.nfa.sharedbuffer.SharedBufferAccessor;
import org.apache.flink.cep.pattern.MalformedPatternException;
import org.apache.flink.cep.pattern.Pattern;
import org.apache.flink.cep.pattern.WithinType;
import org.apache.flink.cep.pattern.conditions.IterativeCondition;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Flink's own NFA over cases of one rule and one stream each: JSON lines in, JSON lines out.
 *
 * <p>A case is what cases.py draws. The answer is {"found": [...]}, {"refused": text} if the
 * pattern cannot be built, or {"failed": text} if Flink broke or took too long. With "stepwise"
 * time moves on one millisecond at a time, as with a watermark for each; else once an event.
 */
public final class FlinkNfa {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int MOST_RUNS = 3_000;
    private static final int LONGEST_SECONDS = 5;

    /** The events of the case at hand; the NFA handles their positions. */
    private static volatile JsonNode events;

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        ExecutorService worker = Executors.newCachedThreadPool(FlinkNfa::daemon);
        String line;
        while ((line = in.readLine()) != null) {
            JsonNode given = JSON.readTree(line);
            Future<ObjectNode> answer = worker.submit(() -> run(given));
            ObjectNode told;
            try {
                told = answer.get(LONGEST_SECONDS, TimeUnit.SECONDS);
            } catch (TimeoutException slow) {
                answer.cancel(true);
                told = JSON.createObjectNode().put("failed", "took too long");
            } catch (ExecutionException broken) {
                told = JSON.createObjectNode().put("failed", String.valueOf(broken.getCause()));
            }
            out.println(JSON.writeValueAsString(told));
            out.flush();
        }
        System.exit(0);
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    private static ObjectNode run(JsonNode given) throws Exception {
        events = given.get("events");
        NFA<Integer> nfa;
        AfterMatchSkipStrategy skip = skip(given.get("skip"));
        try {
            Pattern<Integer, Integer> pattern = pattern(given.get("pattern"), skip);
            if (given.hasNonNull("within")) {
                pattern = pattern.within(Duration.ofMillis(given.get("within").asLong()));
            }
            nfa = NFACompiler.compileFactory(pattern, given.get("timeouts").asBoolean())
                    .createNFA();
        } catch (MalformedPatternException
                | UnsupportedOperationException
                | IllegalArgumentException refused) {
            return JSON.createObjectNode().put("refused", refused.getMessage());
        }
        SharedBuffer<Integer> buffer = new SharedBuffer<>(store(), IntSerializer.INSTANCE);
        try {
            return process(given, nfa, skip, buffer);
        } finally {
            buffer.releaseCacheStatisticsTimer();
        }
    }

    private static ObjectNode process(
            JsonNode given, NFA<Integer> nfa, AfterMatchSkipStrategy skip, SharedBuffer<Integer> b)
            throws Exception {
        NFAState state = nfa.createInitialNFAState();
        boolean stepwise = given.get("stepwise").asBoolean();
        ObjectNode answer = JSON.createObjectNode();
        ArrayNode found = answer.putArray("found");
        long clock = 0;
        for (int index = 0; index < events.size(); index++) {
            long time = events.get(index).get("t").asLong();
            clock = advance(nfa, skip, b, state, clock, time, stepwise, found);
            try (SharedBufferAccessor<Integer> accessor = b.getAccessor()) {
                for (Map<String, List<Integer>> match :
                        nfa.process(accessor, state, index, time, skip, () -> 0L)) {
                    tell(found, "match", time, match);
                }
            }
            if (state.getPartialMatches().size() + state.getCompletedMatches().size() > MOST_RUNS) {
                return JSON.createObjectNode().put("failed", "too many runs");
            }
        }
        advance(nfa, skip, b, state, clock, given.get("end").asLong(), stepwise, found);
        return answer;
    }

    private static long advance(
            NFA<Integer> nfa, AfterMatchSkipStrategy skip, SharedBuffer<Integer> buffer,
            NFAState state, long from, long to, boolean stepwise, ArrayNode found)
            throws Exception {
        for (long now = stepwise ? from : to; now <= to; now++) {
            try (SharedBufferAccessor<Integer> accessor = buffer.getAccessor()) {
                Tuple2<
                                Collection<Map<String, List<Integer>>>,
                                Collection<Tuple2<Map<String, List<Integer>>, Long>>>
                        ended = nfa.advanceTime(accessor, state, now, skip);
                for (Map<String, List<Integer>> match : ended.f0) {
                    tell(found, "match", now, match);
                }
                for (Tuple2<Map<String, List<Integer>>, Long> timeout : ended.f1) {
                    tell(found, "timeout", timeout.f1, timeout.f0);
                }
            }
        }
        return to;
    }

    private static void tell(
            ArrayNode found, String kind, long at, Map<String, List<Integer>> steps) {
        ObjectNode one = found.addObject().put("kind", kind).put("at", at);
        one.set("steps", JSON.valueToTree(steps));
    }

    private static AfterMatchSkipStrategy skip(JsonNode given) {
        if (given.isObject()) {
            return given.has("skip_to_first")
                    ? AfterMatchSkipStrategy.skipToFirst(given.get("skip_to_first").asText())
                    : AfterMatchSkipStrategy.skipToLast(given.get("skip_to_last").asText());
        }
        switch (given.asText()) {
            case "skip_to_next":
                return AfterMatchSkipStrategy.skipToNext();
            case "skip_past_last_event":
                return AfterMatchSkipStrategy.skipPastLastEvent();
            default:
                return AfterMatchSkipStrategy.noSkip();
        }
    }

    private static Pattern<Integer, Integer> pattern(JsonNode steps, AfterMatchSkipStrategy skip) {
        Pattern<Integer, Integer> pattern = null;
        for (JsonNode step : steps) {
            pattern = quantified(begun(pattern, step, skip), step);
        }
        return pattern;
    }

    private static Pattern<Integer, Integer> begun(
            Pattern<Integer, Integer> before, JsonNode step, AfterMatchSkipStrategy skip) {
        String then = step.path("then").asText();
        if (step.has("group")) {
            Pattern<Integer, Integer> group = pattern(step.get("group"), skip);
            if (before == null) {
                return Pattern.begin(group, skip);
            }
            switch (then) {
                case "next":
                    return before.next(group);
                case "followed_by_any":
                    return before.followedByAny(group);
                default:
                    return before.followedBy(group);
            }
        }
        String name = step.get("name").asText();
        Pattern<Integer, Integer> pattern;
        if (before == null) {
            pattern = Pattern.begin(name, skip);
        } else {
            switch (then) {
                case "next":
                    pattern = before.next(name);
                    break;
                case "followed_by_any":
                    pattern = before.followedByAny(name);
                    break;
                case "not_next":
                    pattern = before.notNext(name);
                    break;
                case "not_followed_by":
                    pattern = before.notFollowedBy(name);
                    break;
                default:
                    pattern = before.followedBy(name);
            }
        }
        return pattern.where(new Condition(step.get("cond")));
    }

    private static Pattern<Integer, Integer> quantified(
            Pattern<Integer, Integer> pattern, JsonNode step) {
        if (step.hasNonNull("times")) {
            int least = step.get("times").get(0).asInt();
            JsonNode most = step.get("times").get(1);
            Duration gap =
                    step.hasNonNull("repeat_within")
                            ? Duration.ofMillis(step.get("repeat_within").asLong())
                            : null;
            if (most.isNull()) {
                pattern = pattern.timesOrMore(least, gap);
            } else if (least == most.asInt()) {
                pattern = pattern.times(least, gap);
            } else {
                pattern = pattern.times(least, most.asInt(), gap);
            }
            switch (step.path("inner").asText()) {
                case "consecutive":
                    pattern = pattern.consecutive();
                    break;
                case "combinations":
                    pattern = pattern.allowCombinations();
                    break;
                default:
            }
        }
        if (step.path("optional").asBoolean()) {
            pattern = pattern.optional();
        }
        if (step.path("greedy").asBoolean()) {
            pattern = pattern.greedy();
        }
        if (step.hasNonNull("until")) {
            pattern = pattern.until(new Condition(step.get("until")));
        }
        if (step.hasNonNull("gap_max")) {
            Duration longest = Duration.ofMillis(step.get("gap_max").asLong());
            pattern = pattern.within(longest, WithinType.PREVIOUS_AND_CURRENT);
        }
        return pattern;
    }

    /** Type, number and what the run has taken so far; what is not given holds. */
    private static final class Condition extends IterativeCondition<Integer> {

        private static final long serialVersionUID = 1L;

        private final String type;
        private final int above;
        private final String counted;
        private final int below;
        private final String rising;

        Condition(JsonNode given) {
            type = given.hasNonNull("type") ? given.get("type").asText() : null;
            above = given.hasNonNull("above") ? given.get("above").asInt() : Integer.MIN_VALUE;
            counted = given.hasNonNull("counted") ? given.get("counted").asText() : null;
            below = given.path("below").asInt();
            rising = given.hasNonNull("rising") ? given.get("rising").asText() : null;
        }

        @Override
        public boolean filter(Integer index, Context<Integer> context) throws Exception {
            JsonNode event = events.get(index);
            int x = event.get("x").asInt();
            if (type != null && !type.equals(event.get("type").asText()) || x <= above) {
                return false;
            }
            if (counted != null) {
                int count = 0;
                for (Integer ignored : context.getEventsForPattern(counted)) {
                    count++;
                }
                if (count >= below) {
                    return false;
                }
            }
            if (rising == null) {
                return true;
            }
            Integer last = null;
            for (Integer taken : context.getEventsForPattern(rising)) {
                last = taken;
            }
            // Without an event the expression is an error, which is false.
            return last != null && x >= events.get(last).get("x").asInt();
        }
    }

    private static KeyedStateStore store() {
        return (KeyedStateStore)
                Proxy.newProxyInstance(
                        FlinkNfa.class.getClassLoader(),
                        new Class<?>[] {KeyedStateStore.class},
                        (proxy, method, arguments) -> {
                            if (method.getName().equals("getMapState")) {
                                return new Memory<>();
                            }
                            throw new UnsupportedOperationException(method.getName());
                        });
    }

    private static final class Memory<K, V> implements MapState<K, V>, Serializable {

        private final Map<K, V> map = new HashMap<>();

        @Override
        public V get(K key) {
            return map.get(key);
        }

        @Override
        public void put(K key, V value) {
            map.put(key, value);
        }

        @Override
        public void putAll(Map<K, V> more) {
            map.putAll(more);
        }

        @Override
        public void remove(K key) {
            map.remove(key);
        }

        @Override
        public boolean contains(K key) {
            return map.containsKey(key);
        }

        @Override
        public Iterable<Map.Entry<K, V>> entries() {
            return map.entrySet();
        }

        @Override
        public Iterable<K> keys() {
            return new ArrayList<>(map.keySet());
        }

        @Override
        public Iterable<V> values() {
            return map.values();
        }

        @Override
        public Iterator<Map.Entry<K, V>> iterator() {
            return map.entrySet().iterator();
        }

        @Override
        public boolean isEmpty() {
            return map.isEmpty();
        }

        @Override
        public void clear() {
            map.clear();
        }
    }
}
