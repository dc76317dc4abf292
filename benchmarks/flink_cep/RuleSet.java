import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.cep.CEP;
import org.apache.flink.cep.PatternSelectFunction;
import org.apache.flink.cep.nfa.aftermatch.AfterMatchSkipStrategy;
import org.apache.flink.cep.pattern.Pattern;
import org.apache.flink.cep.pattern.conditions.SimpleCondition;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;

/**
 * Any number of rules as Flink CEP has them: one operator a rule over one keyed stream, and the
 * union of what they find.
 *
 * <p>A line of the file is a rule of three steps, a step is four words: index of the type, index
 * of the number, comparison, what the number is compared with.
 */
public final class RuleSet {
    private static final String[] STEPS = {"first", "second", "third"};

    /** What rules read of an event. A POJO: Flink serialises it field by field. */
    public static class Event {
        public String id;
        public String type;
        public String user;
        public long time;
        public int n0;
        public int n1;
        public int n2;
        public int n3;
        public int n4;
        public int n5;
        public int n6;
        public int n7;

        int number(int field) {
            return switch (field) {
                case 0 -> n0;
                case 1 -> n1;
                case 2 -> n2;
                case 3 -> n3;
                case 4 -> n4;
                case 5 -> n5;
                case 6 -> n6;
                default -> n7;
            };
        }

        void number(int field, int value) {
            switch (field) {
                case 0 -> n0 = value;
                case 1 -> n1 = value;
                case 2 -> n2 = value;
                case 3 -> n3 = value;
                case 4 -> n4 = value;
                case 5 -> n5 = value;
                case 6 -> n6 = value;
                default -> n7 = value;
            }
        }
    }

    /** Streams through the JSON and keeps the fields of {@link Event}; no tree is built. */
    public static final class EventSchema extends AbstractDeserializationSchema<Event> {
        private static final long serialVersionUID = 1L;
        private transient JsonFactory json;

        @Override
        public void open(InitializationContext context) {
            json = new JsonFactory();
        }

        @Override
        public Event deserialize(byte[] message) throws IOException {
            Event event = new Event();
            try (JsonParser parser = json.createParser(message)) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String field = parser.currentName();
                    parser.nextToken();
                    switch (field) {
                        case "event_id" -> event.id = parser.getText();
                        case "event_type" -> event.type = parser.getText();
                        case "user_id" -> event.user = parser.getText();
                        case "event_time" -> event.time = parser.getLongValue();
                        case "props" -> {
                            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                                int number = parser.currentName().charAt(1) - '0';
                                parser.nextToken();
                                event.number(number, parser.getIntValue());
                            }
                        }
                        default -> parser.skipChildren();
                    }
                }
            }
            return event;
        }
    }

    /** One step of a rule. */
    private record Step(String type, int field, String operator, int number)
            implements Serializable {

        SimpleCondition<Event> condition() {
            return switch (operator) {
                case "<" -> SimpleCondition.of(e -> e.type.equals(type) && e.number(field) < number);
                case "<=" -> SimpleCondition.of(e -> e.type.equals(type) && e.number(field) <= number);
                case ">" -> SimpleCondition.of(e -> e.type.equals(type) && e.number(field) > number);
                case ">=" -> SimpleCondition.of(e -> e.type.equals(type) && e.number(field) >= number);
                default -> throw new IllegalArgumentException("no comparison: " + operator);
            };
        }
    }

    /** Gives the matches of all rules of a file. */
    static DataStream<String> matches(DataStream<Event> events, Path file, Duration within)
            throws IOException {
        KeyedStream<Event, String> keyed = events.keyBy(event -> event.user);
        List<DataStream<String>> found = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            String name = String.format("rule_%04d", found.size());
            found.add(CEP.pattern(keyed, pattern(steps(line), within))
                    .select(new Select(name))
                    .name(name));
        }
        DataStream<String> first = found.remove(0);
        @SuppressWarnings("unchecked")
        DataStream<String>[] others = found.toArray(new DataStream[0]);
        return others.length == 0 ? first : first.union(others);
    }

    private static List<Step> steps(String line) {
        String[] words = line.split(" ");
        List<Step> steps = new ArrayList<>();
        for (int at = 0; at < words.length; at += 4) {
            steps.add(new Step(
                    String.format("type_%02d", Integer.parseInt(words[at])),
                    Integer.parseInt(words[at + 1]), words[at + 2],
                    Integer.parseInt(words[at + 3])));
        }
        return steps;
    }

    private static Pattern<Event, ?> pattern(List<Step> steps, Duration within) {
        Pattern<Event, Event> pattern = Pattern
                .<Event>begin(STEPS[0], AfterMatchSkipStrategy.skipPastLastEvent())
                .where(steps.get(0).condition());
        for (int number = 1; number < steps.size(); number++) {
            pattern = pattern.followedBy(STEPS[number]).where(steps.get(number).condition());
        }
        return pattern.within(within);
    }

    /** A match as JSON; ids of the benchmark need no escaping. */
    private static final class Select implements PatternSelectFunction<Event, String> {
        private static final long serialVersionUID = 1L;
        private final String rule;

        Select(String rule) {
            this.rule = rule;
        }

        @Override
        public String select(Map<String, List<Event>> steps) {
            Event last = steps.get(STEPS[2]).get(0);
            return "{\"user_id\":\"" + last.user + "\",\"at\":" + last.time
                    + ",\"trigger\":{\"kind\":\"rule\",\"rule\":\"" + rule + "\",\"event_ids\":[\""
                    + steps.get(STEPS[0]).get(0).id + "\",\"" + steps.get(STEPS[1]).get(0).id
                    + "\",\"" + last.id + "\"]}}";
        }
    }

    private RuleSet() {}
}
