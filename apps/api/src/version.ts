import manifest from '../package.json' with { type: 'json' };

/** Of this API, as its description carries it. */
export const VERSION: string = manifest.version;
