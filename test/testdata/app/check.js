// Uses what was installed; any wrong or missing file makes it fail.
const assert = require('assert')
assert.equal(require('@acme/kit').hello, 'hello')
assert.equal(require('JSONStream').through('x'), 'x')
assert.equal(require('is-number')(Infinity), false)
assert.equal(require('through')(1), 1)
console.log('all there')
