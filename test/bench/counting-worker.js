// The broker as built, with every row that its objects write and read and every call to a shard of devices counted.
import broker, { DeviceObject as Device, KeyObject, OrganizationObject } from 'broker.js';

let cursors = [];
let deviceCalls = 0;
let counting = false;

function countRows(sql) {
  const prototype = Object.getPrototypeOf(sql);
  if (counting) return;
  counting = true;
  const { exec } = prototype;
  prototype.exec = function (...values) {
    const cursor = exec.apply(this, values);
    cursors.push(cursor);
    return cursor;
  };
}

export class DeviceObject extends Device {
  constructor(state, environment) {
    countRows(state.storage.sql);
    super(state, environment);
  }
  decide(...values) {
    deviceCalls += 1;
    return super.decide(...values);
  }
}

export { KeyObject, OrganizationObject };

export default {
  fetch(request, environment, context) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/counts') return broker.fetch(request, environment, context);
    const rowsWritten = cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
    const rowsRead = cursors.reduce((sum, cursor) => sum + cursor.rowsRead, 0);
    const counts = { rowsWritten, rowsRead, deviceCalls };
    cursors = [];
    deviceCalls = 0;
    return Response.json(counts);
  },
};
