"""The sandbox's services over HTTPS as others call them: plain messages of our own making, and zeep by the IHE WSDLs."""

import email
import http.client
import pathlib
import ssl
import uuid
import xml.etree.ElementTree as ElementTree

import harness

import validate_messages  # tests/validate_messages.py; harness has put it on the path

NS = {
    "soap": "http://www.w3.org/2003/05/soap-envelope",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "query": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
    "rim": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "rs": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "xdsb": "urn:ihe:iti:xds-b:2007",
    "xdsi": "urn:ihe:rad:xdsi-b:2009",
    "xop": "http://www.w3.org/2004/08/xop/include",
}
ACTIONS = {
    "ITI-18": "urn:ihe:iti:2007:RegistryStoredQuery",
    "ITI-38": "urn:ihe:iti:2007:CrossGatewayQuery",
    "ITI-43": "urn:ihe:iti:2007:RetrieveDocumentSet",
    "ITI-39": "urn:ihe:iti:2007:CrossGatewayRetrieve",
    "RAD-69": "urn:ihe:rad:2009:RetrieveImagingDocumentSet",
    "RAD-75": "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
}
PATHS = {"ITI-18": "/xds/registry", "ITI-38": "/xds/gateway", "ITI-43": "/xds/repository", "ITI-39": "/xds/gateway",
         "RAD-69": "/xds/imaging", "RAD-75": "/xds/gateway"}
APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
DEPRECATED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated')"
STORED = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"]


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def envelope(action, body, message_id=True, extra=""):
    identifier = f"<wsa:MessageID>urn:uuid:{uuid.uuid4()}</wsa:MessageID>" if message_id else ""
    return (f'<soap:Envelope xmlns:soap="{NS["soap"]}" xmlns:wsa="{NS["wsa"]}"><soap:Header>'
            f'<wsa:Action soap:mustUnderstand="1">{action}</wsa:Action>{identifier}{extra}'
            "<wsa:ReplyTo><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address></wsa:ReplyTo>"
            f"</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>").encode()


def query_body(query, parameters, return_type="LeafClass", home=None):
    """parameters: pairs of name and coded value."""
    slots = "".join(f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{escape(value)}</rim:Value></rim:ValueList>'
                    "</rim:Slot>" for name, value in parameters)
    where = f' home="{home}"' if home else ""
    return (f'<query:AdhocQueryRequest xmlns:query="{NS["query"]}" xmlns:rim="{NS["rim"]}">'
            f'<query:ResponseOption returnComposedObjects="true" returnType="{return_type}"/>'
            f'<rim:AdhocQuery id="urn:uuid:{query}"{where}>{slots}</rim:AdhocQuery></query:AdhocQueryRequest>')


def document_request(repository, document, home=None):
    said = f"<xdsb:HomeCommunityId>{home}</xdsb:HomeCommunityId>" if home else ""
    return (f'<xdsb:DocumentRequest xmlns:xdsb="{NS["xdsb"]}">{said}<xdsb:RepositoryUniqueId>{repository}'
            f"</xdsb:RepositoryUniqueId><xdsb:DocumentUniqueId>{document}</xdsb:DocumentUniqueId></xdsb:DocumentRequest>")


def documents_body(*requests):
    return f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{NS["xdsb"]}">{"".join(requests)}</xdsb:RetrieveDocumentSetRequest>'


def images_body(instances, repository, syntaxes=STORED, home=None):
    """instances: (study, series, instance)."""
    studies = "".join(f'<xdsi:StudyRequest studyInstanceUID="{study}"><xdsi:SeriesRequest seriesInstanceUID="{series}">'
                      f"{document_request(repository, instance, home)}</xdsi:SeriesRequest></xdsi:StudyRequest>"
                      for study, series, instance in instances)
    listed = "".join(f"<xdsi:TransferSyntaxUID>{syntax}</xdsi:TransferSyntaxUID>" for syntax in syntaxes)
    return (f'<xdsi:RetrieveImagingDocumentSetRequest xmlns:xdsi="{NS["xdsi"]}">{studies}<xdsi:TransferSyntaxUIDList>'
            f"{listed}</xdsi:TransferSyntaxUIDList></xdsi:RetrieveImagingDocumentSetRequest>")


class Answer:
    """Status, fields and body; the envelope's XML and the parts by Content-ID where it is MTOM."""

    def __init__(self, response):
        self.status = response.status
        self.fields = response.headers
        self.body = response.read()
        self.parts = {}
        self.xml = None  # of the envelope, as it came
        self.root = None
        kind = self.fields.get_content_type()
        if kind == "multipart/related":
            head = "".join(f"{name}: {value}\r\n" for name, value in self.fields.items() if name.lower() == "content-type")
            message = email.message_from_bytes(head.encode() + b"\r\n" + self.body)
            start = message.get_param("start")
            for part in message.get_payload():
                if part["Content-ID"] == start and start is not None:
                    self.xml = part.get_payload(decode=True)
                else:
                    self.parts[(part["Content-ID"] or str(len(self.parts))).strip("<>")] = part.get_payload(decode=True)
        elif kind == "application/soap+xml":
            self.xml = self.body
        if self.xml is not None:
            self.root = ElementTree.fromstring(self.xml)

    def find(self, path):
        return self.root.find(path, NS)

    def find_all(self, path):
        return self.root.findall(path, NS)

    @property
    def state(self):
        """Success, PartialSuccess or Failure."""
        for name in ("query:AdhocQueryResponse", "rs:RegistryResponse", "xdsb:RetrieveDocumentSetResponse/rs:RegistryResponse"):
            found = self.find(f"soap:Body/{name}")
            if found is not None:
                return found.get("status").rsplit(":", 1)[1]
        return None

    @property
    def codes(self):
        return [error.get("errorCode") for error in self.find_all(".//rs:RegistryError")]

    @property
    def entries(self):
        return self.find_all(".//rim:ExtrinsicObject")

    @property
    def fault(self):
        value = self.find(".//soap:Code/soap:Value")
        subcode = self.find(".//soap:Subcode/soap:Value")
        return None if value is None else (value.text.split(":")[-1], None if subcode is None else subcode.text.split(":")[-1])

    def documents(self):
        """Bytes by DocumentUniqueId; None where the part is not there."""
        found = {}
        for response in self.find_all(".//xdsb:DocumentResponse"):
            include = response.find("xdsb:Document/xop:Include", NS)
            cid = include.get("href").removeprefix("cid:")
            found[response.find("xdsb:DocumentUniqueId", NS).text] = self.parts.get(cid)
        return found


def slots(entry):
    return {slot.get("name"): [value.text for value in slot.findall("rim:ValueList/rim:Value", NS)]
            for slot in entry.findall("rim:Slot", NS)}


def codes(entry, scheme):
    """(code, coding scheme) of the classifications of one kind."""
    found = []
    for classification in entry.findall("rim:Classification", NS):
        if classification.get("classificationScheme") == f"urn:uuid:{scheme}":
            found.append((classification.get("nodeRepresentation"), slots(classification).get("codingScheme", [None])[0]))
    return found


def identifier(entry, scheme):
    for found in entry.findall("rim:ExternalIdentifier", NS):
        if found.get("identificationScheme") == f"urn:uuid:{scheme}":
            return found.get("value")
    return None


class Web:
    """A client with the certificate that --init made; every SOAP message both ways is held against the schemas."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.context = ssl.create_default_context(cafile=str(sandbox.tls / "ca.pem"))
        self.context.load_cert_chain(sandbox.tls / "client.pem", sandbox.tls / "client.key")
        self.schemas = harness.SHARED / "xsd"
        keys = dict(line.split(" = ", 1) for line in sandbox.made_toml.splitlines() if " = " in line)
        self.home = "urn:oid:" + keys["home_community"].strip('"')
        self.repository = keys["repository"].strip('"')
        self.imaging_source = keys["imaging_source"].strip('"')

    def request(self, method, path, body=None, fields=None, seconds=30):
        connection = http.client.HTTPSConnection("127.0.0.1", self.sandbox.web_port, context=self.context, timeout=seconds)
        try:
            connection.request(method, path, body, fields or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def call(self, transaction, body, path=None, message_id=True, extra="", action=None):
        sent = envelope(action or ACTIONS[transaction], body, message_id, extra)
        fields = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{ACTIONS[transaction]}"'}
        answer = self.request("POST", path or PATHS[transaction], sent, fields)
        if answer.root is not None and (self.schemas / "all.xsd").exists():
            faults = validate_messages.schema_faults(answer.xml.strip(), self.schemas)
            if faults:
                raise AssertionError(f"{transaction}: {faults}\n{answer.xml.decode()[:4000]}")
        return answer

    def query(self, query, parameters, return_type="LeafClass", home=None, transaction="ITI-18"):
        return self.call(transaction, query_body(query, parameters, return_type, home))


def wsdl(name):
    return pathlib.Path(harness.SHARED / "xsd" / "wsdl" / name)
