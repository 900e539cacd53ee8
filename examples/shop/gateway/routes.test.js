'use strict';
const assert = require('node:assert/strict');
const test = require('node:test');
const { routeOf } = require('./src/routes');

test('a path goes to its service without the API prefix', () => {
  const { route, path } = routeOf('/api/products/mug');
  assert.equal(new URL(route.url).hostname, 'catalog');
  assert.equal(path, '/products/mug');
});

test('a prefix counts only as a whole segment', () => {
  assert.equal(routeOf('/api/productsandmore'), null);
});

test('what is not in the API has no route', () => {
  assert.equal(routeOf('/api/reservations'), null);
});
