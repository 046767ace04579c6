import type { Database, DeliveryRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { notFound } from '../../plugins/access.ts';

/** Makes a delivery due now, with all its tries before it. CONFLICT while it is being tried. */
export async function resend(db: Pick<Database, 'deliveries'>, id: string): Promise<DeliveryRecord> {
  const done = await db.deliveries.resend(id);
  const delivery = await db.deliveries.get(id);
  if (!delivery) throw notFound('delivery');
  if (!done)
    throw new AppError('CONFLICT', 'The delivery is being tried at this moment. Look again in a minute.');
  return delivery;
}
