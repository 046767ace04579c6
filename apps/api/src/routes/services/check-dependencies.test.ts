import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { orderServices } from '../../planner/service-order.ts';
import { checkDependencies } from './check-dependencies.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const changes = fc.array(
  fc.record({
    name: fc.constantFrom(...NAMES),
    dependsOn: fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 3 }),
  }),
  { maxLength: 30 },
);

test('property: whatever is configured one after the other, an order is always left', () => {
  fc.assert(
    fc.property(changes, (wanted) => {
      const services = NAMES.map((name) => ({ name, dependsOn: [] as string[], backupPriority: 0 }));
      for (const { name, dependsOn } of wanted) {
        const others = services.filter((one) => one.name !== name);
        const changed = services.map((one) => (one.name === name ? { ...one, dependsOn } : one));
        const allowed = checkDependencies({ name, dependsOn }, others).length === 0;
        // What is refused would have left no order, and only that.
        if (!allowed) expect(() => orderServices(changed, changed)).toThrow(/circle/);
        else services.splice(0, services.length, ...changed);
        expect(orderServices(services, services).start.flat()).toHaveLength(NAMES.length);
      }
    }),
  );
});
