import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.Serializable;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.state.KeyedStateStore;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.typeutils.base.IntSerializer;
import org.apache.flink.cep.nfa.ComputationState;
import org.apache.flink.cep.nfa.NFA;
import org.apache.flink.cep.nfa.NFAState;
import org.apache.flink.cep.nfa.aftermatch.AfterMatchSkipStrategy;
import org.apache.flink.cep.nfa.compiler.NFACompiler;
import org.apache.flink.cep.nfa.sharedbuffer.SharedBuffer;
import org.apache.flink.cep.nfa.sharedbuffer.SharedBufferAccessor;
import org.apache.flink.cep.pattern.Pattern;
import org.apache.flink.cep.pattern.conditions.SimpleCondition;

/**
 * Flink's own NFA, one a rule, looped over all rules for every event; commands on standard input.
 *
 * <p>Per event and rule it does what CepOperator does when a watermark has come: advance the time,
 * then process. It does less besides: no queue of events in front, no timers, no serialisers; state
 * lies in arrays by user and hash maps of its own. One accessor serves both calls.
 *
 * <pre>
 * rules FILE USERS WITHIN_MS   compile the rules for so many users
 * timed FILE COUNT             the first COUNT events through all rules, the rest as by "fast";
 *                              answers with the nanoseconds of the former
 * fast FILE                    events, but only through rules of which a step's condition holds: to
 *                              all others an event is one that is skipped, which changes nothing
 * live TIME                    move everybody's time on, and count partial matches
 * </pre>
 *
 * Every answer ends with matches so far and a digest of them.
 */
public final class Loop {

    /** An event, decoded. */
    private static final class Event {
        final int index;
        final int user;
        final int type;
        final long time;
        final int[] values = new int[8];

        Event(ByteBuffer from) {
            time = from.getLong();
            index = from.getInt();
            user = from.getInt();
            type = from.getInt();
            for (int field = 0; field < values.length; field++) {
                values[field] = from.getInt();
            }
        }
    }

    /** A type and the comparison of one number. */
    private static final class Condition extends SimpleCondition<Event> {
        private static final long serialVersionUID = 1L;
        final int type;
        private final int field;
        private final int operator;
        private final int number;

        Condition(String[] words, int at) {
            type = Integer.parseInt(words[at]);
            field = Integer.parseInt(words[at + 1]);
            operator = List.of("<", "<=", ">", ">=").indexOf(words[at + 2]);
            number = Integer.parseInt(words[at + 3]);
        }

        @Override
        public boolean filter(Event event) {
            if (event.type != type) {
                return false;
            }
            int value = event.values[field];
            switch (operator) {
                case 0:
                    return value < number;
                case 1:
                    return value <= number;
                case 2:
                    return value > number;
                default:
                    return value >= number;
            }
        }
    }

    private static final String[] STEPS = {"first", "second", "third"};
    private static final AfterMatchSkipStrategy SKIP = AfterMatchSkipStrategy.skipPastLastEvent();

    private final int users;
    private final List<NFA<Event>> nfas = new ArrayList<>();
    private final List<SharedBuffer<Event>> buffers = new ArrayList<>();
    private final NFAState[][] states;
    private final List<List<Condition>> conditionsByType = new ArrayList<>();
    private final List<List<Integer>> rulesByType = new ArrayList<>();
    private final int[] lastAsked;
    private int user;
    private long matches;
    private long digest;

    private Loop(List<String> rules, int users, long withinMs) {
        this.users = users;
        states = new NFAState[users][rules.size()];
        lastAsked = new int[rules.size()];
        for (String rule : rules) {
            add(rule.split(" "), withinMs);
        }
    }

    private void add(String[] words, long withinMs) {
        Pattern<Event, Event> pattern = null;
        for (int step = 0; step < STEPS.length; step++) {
            Condition condition = new Condition(words, 4 * step);
            pattern =
                    (pattern == null
                                    ? Pattern.<Event>begin(STEPS[step], SKIP)
                                    : pattern.followedBy(STEPS[step]))
                            .where(condition);
            while (rulesByType.size() <= condition.type) {
                rulesByType.add(new ArrayList<>());
                conditionsByType.add(new ArrayList<>());
            }
            rulesByType.get(condition.type).add(nfas.size());
            conditionsByType.get(condition.type).add(condition);
        }
        pattern = pattern.within(Duration.ofMillis(withinMs));
        NFA<Event> nfa = NFACompiler.compileFactory(pattern, false).createNFA();
        for (NFAState[] ofUser : states) {
            ofUser[nfas.size()] = nfa.createInitialNFAState();
        }
        nfas.add(nfa);
        // Nothing is ever serialised: the serialiser is there because the constructor wants one.
        @SuppressWarnings({"unchecked", "rawtypes"})
        SharedBuffer<Event> buffer = new SharedBuffer(store(), IntSerializer.INSTANCE);
        buffer.releaseCacheStatisticsTimer();
        buffers.add(buffer);
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Loop loop = null;
        String line;
        while ((line = in.readLine()) != null) {
            String[] words = line.split(" ");
            long told = 0;
            switch (words[0]) {
                case "rules":
                    List<String> rules = Files.readAllLines(Path.of(words[1]));
                    loop = new Loop(rules, Integer.parseInt(words[2]), Long.parseLong(words[3]));
                    break;
                case "timed":
                    told = loop.timed(read(words[1]), Integer.parseInt(words[2]));
                    break;
                case "fast":
                    for (Event event : read(words[1])) {
                        loop.fast(event);
                    }
                    break;
                default:
                    told = loop.live(Long.parseLong(words[1]));
            }
            System.out.println(told + " " + loop.matches + " " + loop.digest);
        }
    }

    private static List<Event> read(String file) throws Exception {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(file)));
        bytes.order(ByteOrder.LITTLE_ENDIAN);
        List<Event> events = new ArrayList<>();
        while (bytes.hasRemaining()) {
            events.add(new Event(bytes));
        }
        return events;
    }

    private long timed(List<Event> events, int count) throws Exception {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long collected = collectedMs();
        long began = threads.getCurrentThreadCpuTime();
        for (Event event : events.subList(0, count)) {
            user = event.user;
            NFAState[] ofUser = states[user];
            for (int rule = 0; rule < ofUser.length; rule++) {
                process(rule, ofUser[rule], event);
            }
        }
        long spent = threads.getCurrentThreadCpuTime() - began;
        spent += (collectedMs() - collected) * 1_000_000L;
        for (Event event : events.subList(count, events.size())) {
            fast(event);
        }
        return spent;
    }

    private static long collectedMs() {
        long total = 0;
        for (GarbageCollectorMXBean each : ManagementFactory.getGarbageCollectorMXBeans()) {
            total += each.getCollectionTime();
        }
        return total;
    }

    private void fast(Event event) throws Exception {
        if (event.type >= rulesByType.size()) {
            return;
        }
        user = event.user;
        List<Integer> rules = rulesByType.get(event.type);
        List<Condition> conditions = conditionsByType.get(event.type);
        for (int at = 0; at < rules.size(); at++) {
            int rule = rules.get(at);
            // Steps of one rule may hold for the same event: it is processed once.
            if (conditions.get(at).filter(event) && lastAsked[rule] != event.index + 1) {
                lastAsked[rule] = event.index + 1;
                process(rule, states[user][rule], event);
            }
        }
    }

    private void process(int rule, NFAState state, Event event) throws Exception {
        NFA<Event> nfa = nfas.get(rule);
        try (SharedBufferAccessor<Event> accessor = buffers.get(rule).getAccessor()) {
            nfa.advanceTime(accessor, state, event.time, SKIP);
            Collection<Map<String, List<Event>>> found =
                    nfa.process(accessor, state, event, event.time, SKIP, null);
            if (!found.isEmpty()) {
                note(rule, found);
            }
        }
    }

    private void note(int rule, Collection<Map<String, List<Event>>> found) {
        for (Map<String, List<Event>> match : found) {
            long mixed = rule;
            for (String step : STEPS) {
                mixed = mixed * 1_000_003L + match.get(step).get(0).index;
            }
            matches++;
            digest += mixed;
        }
    }

    private long live(long time) throws Exception {
        long count = 0;
        for (user = 0; user < users; user++) {
            for (int rule = 0; rule < nfas.size(); rule++) {
                NFAState state = states[user][rule];
                try (SharedBufferAccessor<Event> accessor = buffers.get(rule).getAccessor()) {
                    nfas.get(rule).advanceTime(accessor, state, time, SKIP);
                }
                for (ComputationState run : state.getPartialMatches()) {
                    count += run.getPreviousBufferEntry() == null ? 0 : 1;
                }
            }
        }
        return count;
    }

    private KeyedStateStore store() {
        return (KeyedStateStore)
                Proxy.newProxyInstance(
                        Loop.class.getClassLoader(),
                        new Class<?>[] {KeyedStateStore.class},
                        (proxy, method, arguments) -> {
                            if (method.getName().equals("getMapState")) {
                                return new Keyed<>();
                            }
                            throw new UnsupportedOperationException(method.getName());
                        });
    }

    /** A map for each user, that of the current one in use; none while it is empty. */
    private final class Keyed<K, V> implements MapState<K, V>, Serializable {
        private static final long serialVersionUID = 1L;

        @SuppressWarnings({"unchecked", "rawtypes"})
        private final Map<K, V>[] maps = new Map[users];

        private Map<K, V> map() {
            Map<K, V> found = maps[user];
            return found == null ? Collections.emptyMap() : found;
        }

        private Map<K, V> made() {
            Map<K, V> found = maps[user];
            return found == null ? maps[user] = new HashMap<>() : found;
        }

        @Override
        public V get(K key) {
            return map().get(key);
        }

        @Override
        public void put(K key, V value) {
            made().put(key, value);
        }

        @Override
        public void putAll(Map<K, V> more) {
            if (!more.isEmpty()) {
                made().putAll(more);
            }
        }

        @Override
        public void remove(K key) {
            Map<K, V> found = maps[user];
            if (found != null) {
                found.remove(key);
                if (found.isEmpty()) {
                    maps[user] = null;
                }
            }
        }

        @Override
        public boolean contains(K key) {
            return map().containsKey(key);
        }

        @Override
        public Iterable<Map.Entry<K, V>> entries() {
            return map().entrySet();
        }

        @Override
        public Iterable<K> keys() {
            return map().keySet();
        }

        @Override
        public Iterable<V> values() {
            return map().values();
        }

        @Override
        public Iterator<Map.Entry<K, V>> iterator() {
            return map().entrySet().iterator();
        }

        @Override
        public boolean isEmpty() {
            return map().isEmpty();
        }

        @Override
        public void clear() {
            maps[user] = null;
        }
    }
}
