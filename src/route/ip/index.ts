/** The route driver over iproute2. */
export { type IpDriverOptions, openIpDriver } from './driver.ts';
