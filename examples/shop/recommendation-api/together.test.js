'use strict';
const assert = require('node:assert/strict');
const test = require('node:test');
const { boughtTogether, topPairs } = require('./src/together');

const order = (status, ...skus) => ({ status, items: skus.map((sku) => ({ sku })) });

test('counts each pair once per paid order, in both directions', () => {
  const together = boughtTogether([order('paid', 'mug', 'lamp'), order('paid', 'mug', 'lamp', 'plant')]);
  assert.deepEqual(together.mug, [{ sku: 'lamp', orders: 2 }, { sku: 'plant', orders: 1 }]);
  assert.deepEqual(together.plant, [{ sku: 'lamp', orders: 1 }, { sku: 'mug', orders: 1 }]);
});

test('declined orders teach nothing', () => {
  assert.deepEqual(boughtTogether([order('declined', 'mug', 'lamp')]), {});
});

test('names each top pair once, the most frequent first', () => {
  const together = boughtTogether([order('paid', 'mug', 'lamp'), order('paid', 'mug', 'lamp'), order('paid', 'mug', 'plant')]);
  assert.deepEqual(topPairs(together, 1), [{ skus: ['lamp', 'mug'], orders: 2 }]);
});
