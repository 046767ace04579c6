/** Real servers on free ports for tests, the demo and the benches. Nothing of the product imports this. */
export { type RunningAzurite, startAzurite } from './azurite.ts';
export { compareTrees, snapshotTree, type TreeEntry } from './compare-trees.ts';
export { createFakeClock, type FakeClock } from './fake-clock.ts';
export { type FtpServerOptions, type RunningFtpServer, startFtpServer } from './ftp-server.ts';
export { type MailServer, type ReceivedMail, startMailServer } from './mail-server.ts';
export { makeNastyTree } from './make-nasty-tree.ts';
export { makeRealisticTree } from './make-realistic-tree.ts';
export { type RunningMariadb, startMariadb } from './mariadb.ts';
export { type RunningPostgres, startPostgresServer } from './postgres.ts';
export { prepareRealServices, type RealService, type RealServices } from './real-services.ts';
export { type Behaviour, type Received, type Receiver, startReceiver } from './receiver.ts';
export { type RunningRedis, startRedis } from './redis.ts';
export { type Fault, type FaultProxy, startFaultProxy } from './s3/fault-proxy.ts';
export { signedFetch } from './s3/sigv4.ts';
export { type RunningS3, startS3, testS3 } from './s3.ts';
export { createTestDatabase, type TestDatabase, testRedisUrl } from './servers.ts';
export { type RunningSshd, type ServerCommand, startSshd } from './sshd.ts';
export { findTool, requireTools } from './tools.ts';
