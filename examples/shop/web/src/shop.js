'use strict';
// What the page needs from the API, all through the gateway.

const { call } = require('./kit/client');
const log = require('./kit/log');

const GATEWAY_URL = process.env.GATEWAY_URL || 'http://gateway:8080';
const ORDERS_SHOWN = 8;

/** Collects the parts of the page. A part that fails is empty and leaves a sentence in `troubles`. */
async function contents(requestId) {
  const troubles = [];
  async function part(path, key, trouble) {
    try {
      const { status, body } = await call('GET', `${GATEWAY_URL}/api/${path}`, requestId);
      if (status === 200) return body[key];
      log.warn('part of the page failed', { path, status, requestId });
    } catch (problem) {
      log.warn('part of the page failed', { path, error: problem.message, requestId });
    }
    troubles.push(trouble);
    return [];
  }
  const [products, stock, users, orders, pairs] = await Promise.all([
    part('products', 'products', 'The products cannot be shown at the moment.'),
    part('stock', 'stock', 'How much is in stock is not known at the moment.'),
    part('users', 'users', 'Nobody can order at the moment: the users are not available.'),
    part(`orders?limit=${ORDERS_SHOWN}`, 'orders', 'Recent orders cannot be shown at the moment.'),
    part('recommendations', 'pairs', 'Recommendations take a break.'),
  ]);
  return { products, stock, users, orders, pairs, troubles };
}

/** Orders one of each SKU. Returns {order: id} or {refused: code}. */
async function placeOrder({ userId, card, skus }, requestId) {
  const items = skus.map((sku) => ({ sku, quantity: 1 }));
  const { status, body } = await call('POST', `${GATEWAY_URL}/api/orders`, requestId, { userId, card, items });
  return status === 201 ? { order: body.id } : { refused: body.error.code };
}

module.exports = { contents, placeOrder };
