import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Executes the statements of a file, one after the other; the last one is an INSERT, and the job.
 *
 * <p>Arguments: the file, with a line of semicolons alone between two statements; checkpoint
 * interval in ms; name of the job.
 */
public final class Sql {
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("pipeline.name", arguments[2]);
        configuration.setString("state.backend.type", "hashmap");
        configuration.setString("parallelism.default", "1");
        configuration.setString("execution.checkpointing.interval", arguments[1]);
        TableEnvironment tables = TableEnvironment.create(
                EnvironmentSettings.newInstance()
                        .inStreamingMode()
                        .withConfiguration(configuration)
                        .build());
        String script = Files.readString(Path.of(arguments[0]), StandardCharsets.UTF_8);
        for (String statement : script.split("(?m)^;$")) {
            if (!statement.isBlank()) {
                tables.executeSql(statement);
            }
        }
    }
}
