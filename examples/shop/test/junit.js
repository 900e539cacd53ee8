'use strict';
// A reporter for node:test that writes JUnit XML.

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escape(text) {
  return String(text).replace(/[&<>"]/g, (character) => ENTITIES[character]);
}

function testCase({ type, data }) {
  const { name, details } = data;
  const seconds = (details.duration_ms / 1000).toFixed(3);
  const open = `  <testcase classname="shop" name="${escape(name)}" time="${seconds}"`;
  if (type === 'test:pass') return `${open}/>\n`;
  const message = details.error?.cause?.message || details.error?.message || 'failed';
  return `${open}>\n    <failure message="${escape(message)}"/>\n  </testcase>\n`;
}

module.exports = async function* junit(events) {
  const cases = [];
  for await (const event of events) {
    const finished = event.type === 'test:pass' || event.type === 'test:fail';
    // A file counts as a test of its own around those inside it.
    if (finished && !event.data.name.endsWith('.test.js')) cases.push(event);
  }
  const failures = cases.filter(({ type }) => type === 'test:fail').length;
  yield '<?xml version="1.0" encoding="UTF-8"?>\n';
  yield `<testsuite name="shop" tests="${cases.length}" failures="${failures}">\n`;
  for (const event of cases) yield testCase(event);
  yield '</testsuite>\n';
};
