import manifest from '../package.json' with { type: 'json' };

/** Of this worker, as manifests and heartbeats carry it. */
export const VERSION: string = manifest.version;
