'use strict';
// JSON lines on stdout: time, level, msg, service, then whatever the caller adds.

const service = process.env.SERVICE || 'shop';

function write(level, msg, fields) {
  const line = { time: new Date().toISOString(), level, msg, service, ...fields };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

module.exports = {
  info: (msg, fields) => write('info', msg, fields),
  warn: (msg, fields) => write('warn', msg, fields),
  error: (msg, fields) => write('error', msg, fields),
};
