// Scenarios for kafkajs; kafkajs_test.py starts the broker and this file once per scenario:
//   node kafkajs_test.js ADDRESS SCENARIO [NAME]
// Ends with status 0, or prints the reason and ends with 1.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const { Kafka, CompressionTypes, logLevel } = require('kafkajs');

const [address, scenario, given] = process.argv.slice(2);
const kafka = new Kafka({ brokers: [address], clientId: 'test', logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, retries: 10 } });
const fresh = (prefix) => `${prefix}-${process.pid}-${crypto.randomBytes(4).toString('hex')}`;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

async function until(condition, what, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(20);
  }
}

async function withProducer(options, body) {
  const producer = kafka.producer({ ...options });
  await producer.connect();
  try { return await body(producer); } finally { await producer.disconnect(); }
}

async function createTopic(topic, numPartitions = 1) {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: true });
  await admin.disconnect();
}

// A group member that notes what it reads; `limit` pauses nothing, it only ends the wait.
async function member(groupId, topic, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 300,
    rebalanceTimeout: 10000, maxWaitTimeInMs: 100, ...options });
  const seen = [];
  const state = { consumer, seen, partitions: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    state.partitions = payload.memberAssignment[topic] || [];
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ autoCommit: false, eachMessage: async ({ partition, message }) => {
    seen.push({ partition, message });
  } });
  return state;
}

const bytes = (message) => message.value === null ? 'null' : crypto.createHash('sha256').update(message.value).digest('hex');
const sums = (messages) => messages.map((message) => bytes(message));

async function roundTrip(codec, messages, producerOptions = {}) {
  const topic = fresh('trip');
  await createTopic(topic);
  await withProducer(producerOptions, async (producer) => {
    const half = Math.ceil(messages.length / 2);
    await producer.send({ topic, acks: -1, compression: codec, messages: messages.slice(0, half) });
    await producer.send({ topic, acks: -1, compression: codec, messages: messages.slice(half) });
  });
  const reader = await member(fresh('group'), topic);
  await until(() => reader.seen.length >= messages.length, 'all records are read');
  await sleep(200);
  await reader.consumer.disconnect();
  const read = reader.seen.map(({ message }) => message);
  assert.deepStrictEqual(sums(read), sums(messages.map((m) => ({ ...m, value: m.value === null ? null : Buffer.from(m.value) }))));
  assert.deepStrictEqual(read.map((m) => m.offset), messages.map((_, index) => String(index)));
  return read;
}

const many = (count) => Array.from({ length: count }, (_, index) => ({ key: null, value: `${index} ${'ab'.repeat(index % 70)}` }));

const scenarios = {
  'none': () => roundTrip(CompressionTypes.None, many(2000)),
  'gzip': () => roundTrip(CompressionTypes.GZIP, many(2000)),
  'idempotent': () => roundTrip(CompressionTypes.None, many(2000), { idempotent: true, maxInFlightRequests: 1 }),

  'kinds': async () => {
    const at = String(Date.now() - 100000);
    const messages = [
      { key: 'text', value: 'naïve Grüße 你好', timestamp: at, headers: { a: '1', empty: '' } },
      { key: 'empty', value: '', timestamp: at },
      { key: 'null', value: null, timestamp: at },
      { key: null, value: 'no key', timestamp: at },
      { key: Buffer.from([0, 255]), value: crypto.randomBytes(1 << 20), timestamp: at },
      { key: 'zeros', value: Buffer.alloc(1 << 20), timestamp: at },
    ];
    const read = await roundTrip(CompressionTypes.GZIP, messages);
    assert.deepStrictEqual(read.map((m) => m.key && m.key.toString('latin1')),
      messages.map((m) => m.key && Buffer.from(m.key).toString('latin1')));
    assert.deepStrictEqual(read.map((m) => m.timestamp), messages.map(() => at));
    assert.deepStrictEqual(Object.entries(read[0].headers).map(([k, v]) => [k, v.toString()]), [['a', '1'], ['empty', '']]);
  },

  'rebalance': async () => {
    const topic = fresh('shared');
    const group = fresh('group');
    await createTopic(topic, 4);
    const one = await member(group, topic);
    await until(() => one.partitions.length === 4, 'one member has all');
    const two = await member(group, topic);
    await until(() => one.partitions.length === 2 && two.partitions.length === 2, 'two each');
    assert.deepStrictEqual([...one.partitions, ...two.partitions].sort(), [0, 1, 2, 3]);
    await two.consumer.disconnect();
    await until(() => one.partitions.length === 4, 'the first has all again');
    await withProducer({}, (producer) => producer.send({ topic,
      messages: [0, 1, 2, 3].map((partition) => ({ partition, value: `late ${partition}` })) }));
    await until(() => one.seen.length === 4, 'the first reads all partitions');
    await one.consumer.disconnect();
  },

  // Two processes with a restart of the broker between: NAME is topic and group.
  'commit': async () => {
    await createTopic(given);
    await withProducer({}, (producer) => producer.send({ topic: given, messages: many(200) }));
    const reader = await member(given, given);
    await until(() => reader.seen.length === 200, 'all records are read');
    await reader.consumer.commitOffsets([{ topic: given, partition: 0, offset: '120', metadata: 'note' }]);
    await reader.consumer.disconnect();
  },
  'resume': async () => {
    const admin = kafka.admin();
    await admin.connect();
    const [{ partitions }] = await admin.fetchOffsets({ groupId: given, topics: [given] });
    assert.deepStrictEqual(partitions.map(({ offset, metadata }) => [offset, metadata]), [['120', 'note']]);
    await admin.disconnect();
    const reader = await member(given, given);
    await until(() => reader.seen.length === 80, 'the rest is read');
    await sleep(300);
    await reader.consumer.disconnect();
    assert.deepStrictEqual(reader.seen.map(({ message }) => message.value.toString()),
      many(200).slice(120).map((m) => m.value));
  },

  'admin': async () => {
    const topic = fresh('admin');
    const admin = kafka.admin();
    await admin.connect();
    assert.strictEqual(await admin.createTopics({ topics: [{ topic, numPartitions: 2,
      configEntries: [{ name: 'retention.ms', value: '123456' }] }] }), true);
    assert.strictEqual(await admin.createTopics({ topics: [{ topic }] }), false);
    const metadata = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.strictEqual(metadata.topics[0].partitions.length, 2);
    await withProducer({}, (producer) => producer.send({ topic, messages: [{ partition: 1, value: 'x' }] }));
    const offsets = await admin.fetchTopicOffsets(topic);
    assert.deepStrictEqual(offsets.map(({ partition, low, high }) => [partition, low, high]).sort(), [[0, '0', '0'], [1, '0', '1']]);
    const configs = await admin.describeConfigs({ resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }] });
    assert.deepStrictEqual(configs.resources[0].configEntries.map((e) => [e.configName, e.configValue]), [['retention.ms', '123456']]);
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    assert.strictEqual((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length, 3);
    const cluster = await admin.describeCluster();
    assert.strictEqual(cluster.brokers.length, Number(process.env.PACELINE_BROKERS || 1));
    assert.ok(cluster.brokers.some((broker) => broker.nodeId === cluster.controller));
    await admin.deleteTopics({ topics: [topic] });
    assert.ok(!(await admin.listTopics()).includes(topic), 'a deleted topic is still listed');
    await admin.disconnect();
  },

  'groups': async () => {
    const topic = fresh('groups');
    const group = fresh('group');
    await createTopic(topic);
    const reader = await member(group, topic);
    await until(() => reader.partitions.length === 1, 'the member has its partition');
    const admin = kafka.admin();
    await admin.connect();
    assert.ok((await admin.listGroups()).groups.some((g) => g.groupId === group && g.protocolType === 'consumer'));
    const [described] = (await admin.describeGroups([group])).groups;
    assert.deepStrictEqual([described.state, described.members.length], ['Stable', 1]);
    await assert.rejects(admin.deleteGroups([group]));
    await reader.consumer.disconnect();
    await admin.deleteGroups([group]);
    assert.ok(!(await admin.listGroups()).groups.some((g) => g.groupId === group));
    await admin.disconnect();
  },
};

scenarios[scenario]().then(() => process.exit(0), (error) => {
  console.log(error.stack || String(error));
  process.exit(1);
});
