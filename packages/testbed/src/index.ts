/** Real servers on free ports for tests, the demo and the benches. Nothing of the product imports this. */
export { type RunningRedis, startRedis } from './redis.ts';
export { createTestDatabase, type TestDatabase, testRedisUrl } from './servers.ts';
export { type RunningSshd, startSshd } from './sshd.ts';
export { findTool, requireTools } from './tools.ts';
