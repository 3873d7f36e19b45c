// HL7 servers and clients of npm's simple-hl7 and @medplum/hl7.
// usage: node hl7_peers.cjs simple-server|simple-client|medplum-server|medplum-client PORT
const [role, port] = [process.argv[2], Number(process.argv[3])];

const message = (id) => [
  `MSH|^~\\&|RIS|HOSPITAL|ARCHIVE|NATIONAL|20260101||ADT^A31^ADT_A05|${id}|P|2.5.1||||||UNICODE UTF-8`,
  'EVN||20260101', 'PID|||131052-308T^^^&1.2.246.21&ISO||Virtanen^\u00c4iti||19521013|F', 'PV1|1|N'].join('\r');

function check(text, id) {
  if (!text.includes(`MSA|AA|${id}`)) {
    console.error(`not the acknowledgement of ${id}: ${text}`);
    process.exit(1);
  }
  console.log(`acknowledged ${id}`);
}

if (role === 'simple-server') {
  const hl7 = require('simple-hl7');
  const app = hl7.tcp();
  app.use((req, res, next) => { console.log(req.msg.header.getField(8)); next(); });
  app.use((req, res, next) => res.end());
  app.use((err, req, res, next) => { console.error(err); res.end(); });
  app.start(port);
} else if (role === 'simple-client') {
  const hl7 = require('simple-hl7');
  const client = hl7.Server.createTcpClient({ host: '127.0.0.1', port });
  const parsed = new hl7.Parser().parse(message('SIMPLE1'));
  client.send(parsed, (err, ack) => {
    if (err) { console.error(err); process.exit(1); }
    check(ack.log(), 'SIMPLE1');
    process.exit(0);
  });
} else if (role === 'medplum-server') {
  const { Hl7Server } = require('@medplum/hl7');
  const server = new Hl7Server((connection) => connection.addEventListener('message', (event) => {
    console.log(event.message.getSegment('MSH').getField(10).toString());
    connection.send(event.message.buildAck());
  }));
  server.start(port);
} else if (role === 'medplum-client') {
  const { Hl7Client } = require('@medplum/hl7');
  const { Hl7Message } = require('@medplum/core');
  const client = new Hl7Client({ host: '127.0.0.1', port });
  (async () => {
    for (const id of ['MEDPLUM1', 'MEDPLUM2']) {
      check((await client.sendAndWait(Hl7Message.parse(message(id)))).toString(), id);
    }
    client.close();
    process.exit(0);
  })().catch((error) => { console.error(error); process.exit(1); });
}
