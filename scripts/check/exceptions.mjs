/** Files that may be longer than the limit, each with the reason. One that needs no exception any more is a fault. */
export const longFiles = {};
