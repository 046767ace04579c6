import { AppError } from '@tarfleet/kernel';
import type { ApiConfig } from '../../env.ts';
import { type Fault, invalid } from '../../plugins/faults.ts';
import { plainPathFault } from '../plain-path.ts';
import { foreignFields } from './config.ts';
import type { ConfigChanges } from './schemas.ts';

/** What a schema of single fields cannot say. */
export function checkConfig(
  type: string,
  config: ConfigChanges,
  { LOCAL_ALLOWED: localAllowed }: Pick<ApiConfig, 'LOCAL_ALLOWED'>,
): void {
  if (type === 'local' && !localAllowed) {
    throw new AppError(
      'LOCAL_NOT_ALLOWED',
      'Destinations of type local are switched off here; LOCAL_ALLOWED=true in the API’s environment allows them.',
    );
  }
  const faults: Fault[] = foreignFields(type, config).map((field) => ({
    path: `body/config/${field}`,
    message: `does not apply to a destination of type ${type}`,
  }));
  const pathFault = config.path === undefined ? undefined : plainPathFault(config.path);
  if (pathFault !== undefined) faults.push({ path: 'body/config/path', message: pathFault });
  const { access_key_id: id, secret_access_key: key, session_token: token } = config;
  if ((id === undefined) !== (key === undefined)) {
    faults.push({
      path: `body/config/${id === undefined ? 'access_key_id' : 'secret_access_key'}`,
      message: 'is required: access_key_id and secret_access_key go together',
    });
  }
  if (token !== undefined && id === undefined && key === undefined) {
    faults.push({
      path: 'body/config/session_token',
      message: 'needs access_key_id and secret_access_key beside it',
    });
  }
  const { password, private_key: privateKey, passphrase } = config;
  if (password !== undefined && privateKey !== undefined) {
    faults.push({ path: 'body/config/password', message: 'goes not together with private_key: give one' });
  }
  if (config.account_key !== undefined && config.sas_token !== undefined) {
    faults.push({ path: 'body/config/sas_token', message: 'goes not together with account_key: give one' });
  }
  if (passphrase !== undefined && privateKey === undefined) {
    faults.push({ path: 'body/config/passphrase', message: 'needs private_key beside it' });
  }
  if (faults.length > 0) throw invalid(faults);
}
