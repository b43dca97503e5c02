// For an n8n Code node (run once for all items) right after "FrameRelay tells", whose option Raw Body is on.
// n8n must allow both: NODE_FUNCTION_ALLOW_BUILTIN=crypto and N8N_BLOCK_ENV_ACCESS_IN_NODE=false.
// FRAMERELAY_NOTIFY_SECRET in n8n's environment is what `framerelay notifications --secret` prints.
const crypto = require('crypto');

const OLD_S = 300; // A message that somebody intercepted and sends again is useless after five minutes.
const secret = Buffer.from($env.FRAMERELAY_NOTIFY_SECRET.replace(/^whsec_/, ''), 'base64');
const proven = [];
for (const [index, item] of $input.all().entries()) {
  const headers = item.json.headers;
  const id = headers['webhook-id'];
  const time = headers['webhook-timestamp'];
  const body = await this.helpers.getBinaryDataBuffer(index, 'data');
  const wanted = crypto.createHmac('sha256', secret).update(`${id}.${time}.`).update(body).digest();
  const signed = String(headers['webhook-signature']).split(' ').some((part) => {
    const given = Buffer.from(part.replace(/^v1,/, ''), 'base64');
    return part.startsWith('v1,') && given.length === wanted.length && crypto.timingSafeEqual(given, wanted);
  });
  if (!signed || !(Math.abs(Date.now() / 1000 - Number(time)) < OLD_S)) {
    throw new Error('This does not come from FrameRelay: its signature is wrong or too old.');
  }
  proven.push(item);
}
return proven;
