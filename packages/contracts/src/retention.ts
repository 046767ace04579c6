import { type Static, Type } from 'typebox';

const Most = (what: string) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100_000,
      description: `Of so many ${what} that have a completed backup, the newest one each`,
    }),
  );

/** What is to be kept of a series of backups. `docs/retention.md` says what each rule means. */
export const RetentionPolicy = Type.Object(
  {
    days: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 36_500, description: 'All that are not older than so many days' }),
    ),
    keep_last: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100_000, description: 'So many of the newest completed ones' }),
    ),
    keep_hourly: Most('hours'),
    keep_daily: Most('days'),
    keep_weekly: Most('weeks (from Monday)'),
    keep_monthly: Most('months'),
    keep_yearly: Most('years'),
    timezone: Type.Optional(
      Type.String({
        maxLength: 64,
        pattern: '^[A-Za-z][A-Za-z0-9_+/-]*$',
        description: 'a time zone’s name, such as Europe/Berlin: where its days begin; UTC when left out',
      }),
    ),
    keep_newest: Type.Optional(
      Type.Boolean({
        description:
          'Whether the newest completed backup of a series stays although nothing else keeps it, as it does when this is left out. False lets the last one go',
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type RetentionPolicy = Static<typeof RetentionPolicy>;
