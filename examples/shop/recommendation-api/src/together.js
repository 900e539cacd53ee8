'use strict';
// What is bought together, counted from paid orders.

/** Returns for every SKU the SKUs that shared an order with it: {sku: [{sku, orders}]}, most frequent first. */
function boughtTogether(orders) {
  const counts = new Map();
  for (const { status, items } of orders) {
    if (status !== 'paid') continue;
    for (const { sku } of items) {
      for (const { sku: other } of items) {
        if (other === sku) continue;
        const row = counts.get(sku) || counts.set(sku, new Map()).get(sku);
        row.set(other, (row.get(other) || 0) + 1);
      }
    }
  }
  return Object.fromEntries([...counts].map(([sku, row]) => [sku, ranked(row)]));
}

function ranked(row) {
  return [...row]
    .map(([sku, orders]) => ({ sku, orders }))
    .sort((a, b) => b.orders - a.orders || a.sku.localeCompare(b.sku));
}

/** Returns the most frequent pairs of all: [{skus: [a, b], orders}]. */
function topPairs(together, limit) {
  return Object.entries(together)
    .flatMap(([sku, others]) => others.map((other) => ({ skus: [sku, other.sku], orders: other.orders })))
    .filter(({ skus: [a, b] }) => a < b)
    .sort((a, b) => b.orders - a.orders || a.skus.join().localeCompare(b.skus.join()))
    .slice(0, limit);
}

module.exports = { boughtTogether, topPairs };
