import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

import org.apache.flink.api.common.eventtime.SerializableTimestampAssigner;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.cep.CEP;
import org.apache.flink.cep.PatternSelectFunction;
import org.apache.flink.cep.nfa.aftermatch.AfterMatchSkipStrategy;
import org.apache.flink.cep.pattern.Pattern;
import org.apache.flink.cep.pattern.conditions.SimpleCondition;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * The usual Flink CEP job for the rule of the benchmark: JSON from Kafka, event time, keyed by
 * user, one pattern of three steps, matches to Kafka. It computes no aggregates and no flow.
 *
 * <p>Arguments: bootstrap servers, topic of the events, topic of the matches, checkpoint interval
 * in ms, longest time out of order in ms, window of the rule in minutes, name of the job; and a
 * file of rules, if it shall have these in place of its own: see {@link RuleSet}.
 */
public final class Main {
    /** Of a partition at once; Kafka's default. */
    private static final int ONE_FETCH = 1 << 20;

    /**
     * What is fetched of one partition waits in every operator until the others have come as far:
     * with a hundred of them the heap would be full of it.
     */
    private static final int MANY_FETCH = 1 << 17;

    /** What the rule reads of an event. A POJO: Flink serialises it field by field. */
    public static class Event {
        public String id;
        public String type;
        public String user;
        public long time;
        public String sku;
        public double price;
        public double amount;
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
                        case "props" -> props(parser, event);
                        default -> parser.skipChildren();
                    }
                }
            }
            return event;
        }

        private static void props(JsonParser parser, Event event) throws IOException {
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                switch (field) {
                    case "sku" -> event.sku = parser.getText();
                    case "price" -> event.price = parser.getDoubleValue();
                    case "amount" -> event.amount = parser.getDoubleValue();
                    default -> parser.skipChildren();
                }
            }
        }
    }

    private static SimpleCondition<Event> when(SimpleConditionBody body) {
        return SimpleCondition.of(body::test);
    }

    /** A predicate that can be shipped. */
    private interface SimpleConditionBody extends java.io.Serializable {
        boolean test(Event event) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0];
        String events = arguments[1];
        String matches = arguments[2];
        long checkpointMs = Long.parseLong(arguments[3]);
        long outOfOrderMs = Long.parseLong(arguments[4]);
        long withinMinutes = Long.parseLong(arguments[5]);
        String name = arguments[6];

        StreamExecutionEnvironment env = environment(checkpointMs);
        DataStream<String> found = arguments.length > 7
                ? RuleSet.matches(
                        env.fromSource(
                                source(servers, events, name, new RuleSet.EventSchema(), MANY_FETCH),
                                watermarks(
                                        outOfOrderMs, 600, (event, kafkaTime) -> event.time),
                                "events"),
                        Path.of(arguments[7]), Duration.ofMinutes(withinMinutes))
                : bought(
                        env.fromSource(
                                source(servers, events, name, new EventSchema(), ONE_FETCH),
                                watermarks(
                                        outOfOrderMs, 30, (event, kafkaTime) -> event.time),
                                "events"),
                        Duration.ofMinutes(withinMinutes));
        found.sinkTo(KafkaSink.<String>builder()
                .setBootstrapServers(servers)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setRecordSerializer(KafkaRecordSerializationSchema.<String>builder()
                        .setTopic(matches)
                        .setValueSerializationSchema(new SimpleStringSchema(StandardCharsets.UTF_8))
                        .build())
                .build());
        env.execute(name);
    }

    private static StreamExecutionEnvironment environment(long checkpointMs) {
        Configuration configuration = new Configuration();
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("state.backend.type", "hashmap");
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        env.setParallelism(1);
        env.enableCheckpointing(checkpointMs);
        return env;
    }

    private static <E> KafkaSource<E> source(
            String servers, String events, String group, DeserializationSchema<E> schema,
            int fetchBytes) {
        return KafkaSource.<E>builder()
                .setBootstrapServers(servers)
                .setTopics(events)
                .setGroupId(group)
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setValueOnlyDeserializer(schema)
                .setProperty("max.partition.fetch.bytes", String.valueOf(fetchBytes))
                .build();
    }

    private static <E> WatermarkStrategy<E> watermarks(
            long outOfOrderMs, long idleSeconds, SerializableTimestampAssigner<E> time) {
        return WatermarkStrategy
                .<E>forBoundedOutOfOrderness(Duration.ofMillis(outOfOrderMs))
                .withTimestampAssigner(time)
                // Long: a partition that is read late for once must not count as idle, or the
                // watermark runs ahead and CEP drops its events as late. With many rules the turn of
                // a partition comes only after half a minute.
                .withIdleness(Duration.ofSeconds(idleSeconds));
    }

    private static DataStream<String> bought(DataStream<Event> events, Duration within) {
        Pattern<Event, ?> bought = Pattern
                .<Event>begin("view", AfterMatchSkipStrategy.skipPastLastEvent())
                .where(when(event -> event.type.equals("item_view") && event.price > 100.0))
                .followedBy("cart")
                .where(when(event -> event.type.equals("add_to_cart")))
                .followedBy("pay")
                .where(when(event -> event.type.equals("pay") && event.amount > 0.0))
                .within(within);

        return CEP
                .pattern(events.keyBy(event -> event.user), bought)
                .select(new Select())
                .name("bought");
    }

    /** A match as JSON; ids and SKUs of the benchmark need no escaping. */
    private static final class Select implements PatternSelectFunction<Event, String> {
        private static final long serialVersionUID = 1L;

        @Override
        public String select(Map<String, List<Event>> steps) {
            Event view = steps.get("view").get(0);
            Event cart = steps.get("cart").get(0);
            Event pay = steps.get("pay").get(0);
            return "{\"user_id\":\"" + pay.user + "\",\"at\":" + pay.time
                    + ",\"trigger\":{\"kind\":\"rule\",\"event_ids\":[\"" + view.id + "\",\"" + cart.id
                    + "\",\"" + pay.id + "\"]},\"payload\":{\"sku\":\"" + view.sku + "\"}}";
        }
    }

    private Main() {}
}
