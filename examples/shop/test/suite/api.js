'use strict';
// The shop as its tests see it: calls through the gateway, and products of their own to buy.

const { randomBytes } = require('node:crypto');

const GATEWAY_URL = process.env.GATEWAY_URL || 'http://gateway:8080';
const WEB_URL = process.env.WEB_URL || 'http://web:8080';
const MILLISECONDS_TO_WAIT = 10_000;
const MILLISECONDS_TO_BECOME_HEALTHY = 30_000;

async function request(method, path, body, headers = {}) {
  const response = await fetch(GATEWAY_URL + path, {
    method,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'object' ? JSON.stringify(body) : body,
    signal: AbortSignal.timeout(MILLISECONDS_TO_WAIT),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : null };
}

const api = {
  get: (path, headers) => request('GET', path, undefined, headers),
  post: (path, body) => request('POST', path, body),
  put: (path, body) => request('PUT', path, body),
  delete: (path) => request('DELETE', path),
};

function unique(prefix) {
  return `${prefix}-${randomBytes(5).toString('hex')}`;
}

/** Waits until every service behind the gateway is healthy. */
async function healthyShop() {
  const deadline = Date.now() + MILLISECONDS_TO_BECOME_HEALTHY;
  for (;;) {
    const last = await api.get('/api/health').catch((problem) => problem);
    if (last.status === 200) return;
    if (Date.now() > deadline) {
      throw new Error(`the shop is not healthy: ${JSON.stringify(last.body) || last.cause?.code || last.message}`);
    }
    await new Promise((resolve) => { setTimeout(resolve, 250); });
  }
}

/** Puts a product of this test's own on sale and takes it away afterwards: repeated runs find the shop as it was. */
async function onSale(t, { quantity = 10, priceCents = 1500 } = {}) {
  const sku = unique('test');
  t.after(async () => {
    await api.delete(`/api/products/${sku}`);
    await api.delete(`/api/stock/${sku}`);
  });
  await api.put(`/api/products/${sku}`, { name: `Test product ${sku}`, priceCents });
  await api.put(`/api/stock/${sku}`, { quantity });
  return sku;
}

async function newUser(t) {
  const { body } = await api.post('/api/users', { name: 'Test Buyer', email: `${unique('buyer')}@example.com` });
  t.after(() => api.delete(`/api/users/${body.id}`));
  return body;
}

async function available(sku) {
  return (await api.get(`/api/stock/${sku}`)).body.available;
}

module.exports = { WEB_URL, api, available, healthyShop, newUser, onSale, unique };
