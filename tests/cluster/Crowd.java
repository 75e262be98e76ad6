import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Kafka's own client as crowd.py has librdkafka: an idempotent producer in an open loop, and members of a group. Every line on its
 * output is one thing that happened; crowd_java.py reads them and says on its input what to do.
 *
 *   Crowd BOOTSTRAP TOPIC PARTITIONS GROUP MEMBERS EVERY_US
 */
public class Crowd {
  // Whoever has come back is known again when the next ones die. A client none of whose known brokers lives begins with its
  // bootstrap list anew, and joins its group anew.
  static final int KNOWS_WITHIN_MS = 500;
  static final int DIGITS = 12, SIZE = 40;
  static final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
  static String bootstrap, topic, group;
  static int partitions;

  static synchronized void say(String line) {
    out.print(line + "\n");
    out.flush();
  }

  static byte[] value(long number, int size) {
    byte[] value = new byte[size];
    Arrays.fill(value, (byte) '.');
    byte[] head = String.format("%0" + DIGITS + "d:", number).getBytes();
    System.arraycopy(head, 0, value, 0, head.length);
    return value;
  }

  /** -1: nobody has sent this. */
  static long number(byte[] value) {
    try {
      long number = Long.parseLong(new String(value, 0, DIGITS));
      return Arrays.equals(value, value(number, value.length)) ? number : -1;
    } catch (RuntimeException unreadable) {
      return -1;
    }
  }

  static void complain(String who, Exception error) {
    boolean again = error instanceof org.apache.kafka.common.errors.RetriableException || error instanceof RetriableCommitFailedException;
    say("E " + (again ? "way " : "wrong ") + who + ": " + error.toString().replace('\n', ' '));
  }

  static class Feed implements Runnable {
    final long every;
    final Queue<Integer> bulk = new ConcurrentLinkedQueue<>();
    final KafkaProducer<byte[], byte[]> producer;
    volatile boolean stopping;
    long next;

    Feed(long everyNs) {
      every = everyNs;
      Map<String, Object> config = new HashMap<>();
      config.put("bootstrap.servers", bootstrap);
      config.put("acks", "all");
      config.put("delivery.timeout.ms", 120000);
      config.put("metadata.max.age.ms", KNOWS_WITHIN_MS);
      producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    public void run() {
      long due = System.nanoTime();
      while (!stopping) {
        for (Integer size = bulk.poll(); size != null && !stopping; size = bulk.poll()) send(size);
        long now = System.nanoTime();
        if (now < due) {
          java.util.concurrent.locks.LockSupport.parkNanos(due - now);
          continue;
        }
        due += every;
        send(SIZE);
      }
      producer.flush();
      producer.close();
      say("D producer");
    }

    void send(int size) {
      final long number = next++;
      final int partition = (int) (number % partitions);
      say("S " + number + " " + partition + " " + System.nanoTime());
      producer.send(new ProducerRecord<>(topic, partition, null, value(number, size)), (data, error) -> {
        if (error == null) say("T " + number + " " + data.offset() + " " + System.nanoTime());
        else say("F " + number + " " + System.nanoTime() + " " + error.toString().replace('\n', ' '));
      });
    }
  }

  static class Member implements Runnable, ConsumerRebalanceListener {
    final int number;
    final KafkaConsumer<byte[], byte[]> consumer;
    final Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
    volatile boolean stopping;

    Member(int number) {
      this.number = number;
      Map<String, Object> config = new HashMap<>();
      config.put("bootstrap.servers", bootstrap);
      config.put("group.id", group);
      config.put("client.id", "member-" + number);
      config.put("auto.offset.reset", "earliest");
      config.put("enable.auto.commit", false);
      config.put("metadata.max.age.ms", KNOWS_WITHIN_MS);
      consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    public void onPartitionsAssigned(Collection<TopicPartition> given) {
      if (!given.isEmpty()) say("A " + number + " " + consumer.assignment().size());
    }
    public void onPartitionsRevoked(Collection<TopicPartition> lost) {
      if (lost.isEmpty()) return;
      positions.keySet().removeAll(lost);
      say("R " + number);
    }

    static String words(Map<TopicPartition, OffsetAndMetadata> offsets) {
      StringBuilder words = new StringBuilder();
      offsets.forEach((place, at) -> words.append(' ').append(place.partition()).append(':').append(at.offset()));
      return words.toString();
    }

    public void run() {
      consumer.subscribe(List.of(topic), this);
      long nextCommit = System.nanoTime();
      while (!stopping) {
        try {
          long began = System.nanoTime();
          take(consumer.poll(Duration.ofMillis(50)), began);
          if (System.nanoTime() < nextCommit || positions.isEmpty()) continue;
          nextCommit = System.nanoTime() + 300_000_000L;
          final long asked = System.nanoTime();
          consumer.commitAsync(new HashMap<>(positions), (offsets, error) -> {
            say("C " + (error == null) + " " + asked + " " + System.nanoTime() + words(offsets));
            if (error != null) complain("a commit of member " + (number + 1), error);
          });
        } catch (Exception error) {
          complain("member " + (number + 1), error);
        }
      }
      try {
        long asked = System.nanoTime();
        consumer.commitSync(positions, Duration.ofSeconds(30));
        say("C true " + asked + " " + System.nanoTime() + words(positions));
        consumer.close(CloseOptions.timeout(Duration.ofSeconds(30)));
      } catch (Exception error) {
        complain("the end of member " + (number + 1), error);
      }
      say("D member " + number);
    }

    void take(ConsumerRecords<byte[], byte[]> records, long began) {
      long told = System.nanoTime();
      for (TopicPartition place : records.partitions()) {
        List<ConsumerRecord<byte[], byte[]>> some = records.records(place);
        StringBuilder line = new StringBuilder("P " + number + " " + place.partition() + " " + began + " " + told + " "
            + (positions.containsKey(place) ? positions.get(place).offset() : -1));
        for (ConsumerRecord<byte[], byte[]> one : some) line.append(' ').append(one.offset()).append(':').append(number(one.value()));
        say(line.toString());
        positions.put(place, new OffsetAndMetadata(some.get(some.size() - 1).offset() + 1));
      }
    }
  }

  public static void main(String[] words) throws Exception {
    bootstrap = words[0];
    topic = words[1];
    partitions = Integer.parseInt(words[2]);
    group = words[3];
    List<Member> members = new ArrayList<>();
    for (int number = 0; number < Integer.parseInt(words[4]); ++number) {
      members.add(new Member(number));
      new Thread(members.get(number)).start();
    }
    Feed feed = null;
    BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
    for (String order = orders.readLine(); order != null; order = orders.readLine()) {
      String[] parts = order.split(" ");
      if (parts[0].equals("produce")) {
        feed = new Feed(Long.parseLong(words[5]) * 1000);
        new Thread(feed).start();
      } else if (parts[0].equals("fill")) {
        for (int i = 0; i < Integer.parseInt(parts[1]); ++i) feed.bulk.add(Integer.parseInt(parts[2]));
      } else if (parts[0].equals("stop-producer")) {
        feed.stopping = true;
      } else if (parts[0].equals("stop-members")) {
        for (Member member : members) member.stopping = true;
      }
    }
    Runtime.getRuntime().halt(0);
  }
}
