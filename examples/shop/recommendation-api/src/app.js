'use strict';
// Recommendations: computed from the orders, cached in Redis until the next order.

// Without the modules for search, graphs and the like: reading them takes as long again.
const redis = require('@redis/client');
const { call } = require('./kit/client');
const log = require('./kit/log');
const { Failure, json, run } = require('./kit/server');
const { boughtTogether, topPairs } = require('./together');

const ORDER_URL = process.env.ORDER_URL || 'http://order:8080';
const REDIS_URL = process.env.REDIS_URL || 'redis://redis:6379';
const ORDERS_TO_LEARN_FROM = 500;
const CACHE_SECONDS = 30;
const MOST_PAIRS = 4;
const SECONDS_TO_WAIT = 30;

const store = redis.createClient({
  url: REDIS_URL,
  // Commands fail at once while the connection is down, instead of queueing up.
  disableOfflineQueue: true,
  socket: { connectTimeout: 3000, reconnectStrategy: () => 300 },
});

async function connect() {
  store.on('error', (problem) => log.warn('redis does not answer', { error: problem.message }));
  const giveUp = setTimeout(() => {
    log.error('redis did not answer, giving up', { seconds: SECONDS_TO_WAIT, url: REDIS_URL });
    process.exit(1);
  }, SECONDS_TO_WAIT * 1000);
  await store.connect();
  clearTimeout(giveUp);
}

async function fromStore(key) {
  try {
    return await store.get(key);
  } catch (problem) {
    throw new Failure(503, 'redis_unavailable', `Redis does not answer: ${problem.message}`);
  }
}

async function learned(requestId) {
  // The order service raises this counter with every order; results of an older count are not used.
  const key = `recommendations:${(await fromStore('orders:version')) || 0}`;
  const cached = await fromStore(key);
  if (cached) return JSON.parse(cached);
  const { status, body } = await call('GET', `${ORDER_URL}/orders?limit=${ORDERS_TO_LEARN_FROM}`, requestId);
  if (status !== 200) throw new Failure(502, 'upstream_failed', `The order service answered ${status}.`);
  const together = boughtTogether(body.orders);
  await store.set(key, JSON.stringify(together), { EX: CACHE_SECONDS });
  log.info('recommendations computed', { orders: body.orders.length, requestId });
  return together;
}

async function handle(request, response, url) {
  const [, first, sku, ...rest] = url.pathname.split('/');
  if (request.method !== 'GET') throw new Failure(405, 'method_not_allowed', 'Use GET.');
  if (first !== 'recommendations' || rest.length) {
    throw new Failure(404, 'no_such_path', `There is nothing at ${url.pathname}.`);
  }
  const together = await learned(request.id);
  if (!sku) return json(response, 200, { pairs: topPairs(together, MOST_PAIRS) });
  return json(response, 200, { sku, boughtTogether: together[decodeURIComponent(sku)] || [] });
}

process.once('SIGTERM', () => process.exit(0));
connect().then(() => {
  process.removeAllListeners('SIGTERM');
  run(handle, () => store.ping());
});
