import java.io.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.CountDownLatch;
import java.util.regex.*;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/** A client outside of a drill (src/probe/README.md): Kafka's own, which sends and reads, and says so line by line. */
public class Outside {
  static final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
  static final CountDownLatch stop = new CountDownLatch(1);
  static String bootstrap, topic, runId, group;
  static int partitions, client, valueBytes;
  static long intervalNs;

  static synchronized void say(String fields) {
    out.print("{" + fields + "}\n");
    out.flush();
  }

  /** CLOCK_MONOTONIC: the drill measures by how much that is off its own, and moves our times. */
  static long now() {
    return System.nanoTime();
  }

  static String word(String line, String name) {
    Matcher found = Pattern.compile("\"" + name + "\":\\s*(?:\"([^\"]*)\"|(-?[0-9]+))").matcher(line);
    if (!found.find()) throw new IllegalArgumentException("no " + name + " in " + line);
    return found.group(1) != null ? found.group(1) : found.group(2);
  }

  static String quoted(String text) {
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("\\p{Cntrl}", " ") + "\"";
  }

  static String version() throws IOException {
    Properties told = new Properties();
    try (InputStream in = KafkaProducer.class.getResourceAsStream("/kafka/kafka-version.properties")) {
      if (in != null) told.load(in);
    }
    return told.getProperty("version", "");
  }

  static String crc(String text) {
    CRC32C crc = new CRC32C();
    crc.update(text.getBytes(StandardCharsets.UTF_8));
    return String.format("%08x", crc.getValue());
  }

  static byte[] payload(int partition, long seq, long intended) {
    String body = runId + "|" + client + "|" + partition + "|" + seq + "|0|0|" + intended;
    byte[] head = (body + "|" + crc(body) + "|").getBytes(StandardCharsets.UTF_8);
    byte[] value = Arrays.copyOf(head, Math.max(valueBytes, head.length));
    Arrays.fill(value, head.length, value.length, (byte) '.');
    return value;
  }

  static void produce() throws InterruptedException {
    Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "enable.idempotence", true, "acks", "all", "linger.ms", 0,
        "client.id", "outside-java");
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      long due = now();
      for (long count = 0; stop.getCount() > 0; due += intervalNs, ++count) {
        if (due > now()) Thread.sleep((due - now()) / 1_000_000);
        int partition = (int) (count % partitions);
        String record = "\"partition\":" + partition + ",\"seq\":" + count / partitions + ",\"intended_ns\":" + due;
        say("\"type\":\"sent\"," + record + ",\"at_ns\":" + now());
        producer.send(new ProducerRecord<>(topic, partition, null, payload(partition, count / partitions, due)), (told, error) -> {
          String at = record + ",\"at_ns\":" + now();
          if (error == null) say("\"type\":\"acked\"," + at + ",\"offset\":" + told.offset());
          else say("\"type\":\"unknown\"," + at + ",\"error\":-1");
        });
      }
      producer.flush();
    }
  }

  static void read(ConsumerRecord<byte[], byte[]> record) {
    String place = "\"type\":\"read\",\"partition\":" + record.partition() + ",\"offset\":" + record.offset() + ",\"at_ns\":" + now();
    String[] words = new String(record.value(), StandardCharsets.UTF_8).split("\\|", -1);
    String body = words.length < 9 ? "" : String.join("|", Arrays.copyOf(words, 7));
    if (words.length < 9 || !words[7].equals(crc(body))) say(place + ",\"damaged\":true");
    else say(place + ",\"client\":" + words[1] + ",\"seq\":" + words[3] + ",\"intended_ns\":" + words[6]);
  }

  static void consume() {
    Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "group.id", group, "auto.offset.reset", "earliest",
        "client.id", "outside-java");
    ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
      void tell(String event, Collection<TopicPartition> some) {
        say("\"type\":\"rebalanced\",\"event\":\"" + event + "\",\"partitions\":" + some.size());
      }
      public void onPartitionsAssigned(Collection<TopicPartition> some) { tell("assigned", some); }
      public void onPartitionsRevoked(Collection<TopicPartition> some) { tell("revoked", some); }
      public void onPartitionsLost(Collection<TopicPartition> some) { tell("lost", some); }
    };
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.subscribe(List.of(topic), listener);
      // Behind the last record that is sent it is quiet.
      for (long quietSince = now(); stop.getCount() > 0 || now() - quietSince < 2_000_000_000L;) {
        ConsumerRecords<byte[], byte[]> some = consumer.poll(Duration.ofMillis(100));
        some.forEach(Outside::read);
        if (!some.isEmpty() || stop.getCount() > 0) quietSince = now();
      }
    }
  }

  static Thread run(String name, Callable body) {
    Thread thread = new Thread(() -> {
      try {
        body.call();
      } catch (Exception error) {
        say("\"type\":\"error\",\"error\":" + quoted(error.getClass().getSimpleName()) + ",\"text\":" + quoted(name + ": " + error) + ",\"fatal\":true");
      }
    }, name);
    thread.start();
    return thread;
  }

  interface Callable {
    void call() throws Exception;
  }

  public static void main(String[] words) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String start = in.readLine();
    bootstrap = word(start, "bootstrap");
    topic = word(start, "topic");
    runId = word(start, "run_id");
    group = word(start, "group");
    partitions = Integer.parseInt(word(start, "partitions"));
    client = Integer.parseInt(word(start, "client"));
    valueBytes = Integer.parseInt(word(start, "value_bytes"));
    intervalNs = Long.parseLong(word(start, "interval_ns"));
    say("\"type\":\"hello\",\"library\":\"kafka-clients\",\"version\":" + quoted(version()) + ",\"clock_ns\":" + now());
    Thread producer = run("producer", Outside::produce), consumer = run("consumer", Outside::consume);
    for (String line = in.readLine(); line != null && !line.contains("\"stop\""); line = in.readLine()) {}
    stop.countDown();
    producer.join();
    consumer.join();
    say("\"type\":\"bye\"");
  }
}
