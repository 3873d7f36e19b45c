"""The peers: certificates of the tests' own, kuva.toml, storescp, Orthanc and kuva-sandbox."""

import json
import shutil
import subprocess
import textwrap
import urllib.error
import urllib.request

import compare_datasets
import harness

# Orthanc installs into sbin, which is not on everybody's PATH.
ORTHANC_PROGRAM = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")

# JPEG XL, HTJ2K and deflated image frames came after DCMTK 3.6.7: told to accept them, it aborts when one comes.
UNKNOWN_TO_DCMTK = {"1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112",
                    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203",
                    "1.2.840.10008.1.2.8.1"}

EXTENSIONS = textwrap.dedent("""\
    basicConstraints = CA:FALSE
    keyUsage = digitalSignature, keyEncipherment
    extendedKeyUsage = serverAuth, clientAuth
    subjectAltName = DNS:localhost, IP:127.0.0.1
    """)


class Certificates:
    """A CA, a server and a client, made with the openssl program: nothing of ours vouches for them."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = directory / "ca.pem"
        (directory / "extensions").write_text(EXTENSIONS)
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days",
                      "30", "-subj", "/CN=Peer test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        for name in ("server", "client"):
            self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                          "-subj", f"/O={name}/CN=localhost")
            self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                          "-days", "30", "-extfile", "extensions", "-out", f"{name}.pem")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=60)

    def key(self, name):
        return self.directory / f"{name}.key"

    def certificate(self, name):
        return self.directory / f"{name}.pem"


def toml_value(value):
    return json.dumps(value if isinstance(value, (bool, int, list)) else str(value))


def write_target(file, name, port, called, certificates=None, listen=None, **keys):
    """Adds [target.NAME] to a kuva.toml; TLS when there are certificates."""
    table = {"host": "localhost" if certificates else "127.0.0.1", "port": port, "called_ae": called,
             "calling_ae": "KUVASCU", "security": "tls" if certificates else "plain", **keys}
    text = f"[target.{name}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in table.items())
    if certificates:
        text += (f"[target.{name}.tls]\nca_file = {toml_value(certificates.ca)}\n"
                 f"certificate_file = {toml_value(certificates.certificate('client'))}\n"
                 f"key_file = {toml_value(certificates.key('client'))}\n")
    if listen:
        text += f"[target.{name}.listener]\nhost = \"127.0.0.1\"\nport = {listen}\n"
    # Debian's Orthanc and storescp answer at once or never; a test has no patience for more.
    text += f"[target.{name}.timeouts]\nresponse = \"30s\"\n\n"
    with open(file, "a", encoding="utf-8") as stream:
        stream.write(text)


def received_by_uid(directory):
    """{SOP Instance UID: file} of what a peer wrote."""
    return {compare_datasets.File(path).sop_instance: path for path in sorted(directory.rglob("*")) if path.is_file()}


class Storescp:
    """DCMTK's storescp, writing what it receives as it came."""

    AE = "STORESCP"

    def __init__(self, case, *options, certificates=None, profile=None, name="storescp"):
        self.case = case
        self.port, = harness.free_ports(1)
        self.storage = case.make_directory(f"{name}-received")
        arguments = ["storescp", "-v", "-dhl", "+B", "-od", self.storage, "-pdu", "131072", *options]
        if certificates:
            arguments += ["+tls", certificates.key("server"), certificates.certificate("server")]
            arguments += ["+cf", certificates.ca]
        if profile:
            arguments += ["-xf", profile, "Test"]
        self.process = case.start(name, [*arguments, self.port])
        self.process.wait_for_port(self.port)

    def received(self):
        return received_by_uid(self.storage)


def write_storescp_profile(file, pairs):
    """An association profile that accepts exactly these (SOP class, [transfer syntax]) pairs: at most 128."""
    lines = ["[[TransferSyntaxes]]"]
    lists = sorted({tuple(syntaxes) for _, syntaxes in pairs})
    for number, syntaxes in enumerate(lists):
        lines.append(f"[List{number}]")
        lines += [f"TransferSyntax{i} = {uid}" for i, uid in enumerate(syntaxes, 1)]
    lines += ["[[PresentationContexts]]", "[Contexts]"]
    for number, (sop_class, syntaxes) in enumerate(pairs, 1):
        lines.append(f"PresentationContext{number} = {sop_class}\\List{lists.index(tuple(syntaxes))}")
    lines += ["[[Profiles]]", "[Test]", "PresentationContexts = Contexts", ""]
    file.write_text("\n".join(lines))


class Orthanc:
    """Orthanc on a fresh directory. Its commitment reports go to `report_port`, always on an association of its own."""

    AE = "ORTHANC"

    def __init__(self, case, certificates=None, report_port=1, name="orthanc", plugins=()):
        self.case = case
        self.port, self.http = harness.free_ports(2)
        directory = case.make_directory(name)
        settings = {
            "Name": "KUVAPEER", "StorageDirectory": str(directory), "IndexDirectory": str(directory),
            "Plugins": list(plugins), "HttpServerEnabled": True, "HttpPort": self.http, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomServerEnabled": True, "DicomAet": self.AE, "DicomPort": self.port,
            "DicomCheckCalledAet": False, "DicomCheckModalityHost": False, "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": False, "MaximumPduLength": 131072, "OverwriteInstances": False,
            "DicomScuTimeout": 10, "DicomScpTimeout": 30,
            "DicomModalities": {"kuva": {"AET": "KUVASCU", "Host": "localhost" if certificates else "127.0.0.1",
                                         "Port": report_port, "AllowStorageCommitment": True,
                                         "UseDicomTls": certificates is not None}},
        }
        if certificates:
            settings |= {"DicomTlsEnabled": True, "DicomTlsCertificate": str(certificates.certificate("server")),
                         "DicomTlsPrivateKey": str(certificates.key("server")),
                         "DicomTlsTrustedCertificates": str(certificates.ca),
                         "DicomTlsRemoteCertificateRequired": True}
        configuration = case.directory / f"{name}.json"
        configuration.write_text(json.dumps(settings))
        self.process = case.start(name, [ORTHANC_PROGRAM, "--logdir=" + str(case.make_directory(name + "-log")),
                                         configuration])
        self.process.wait_for_port(self.port, 60)
        self.process.wait_for_port(self.http, 60)

    def _rest(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()

    def instances(self):
        """{SOP Instance UID: Orthanc's id}."""
        listed = json.loads(self._rest("/instances?expand"))
        return {each["MainDicomTags"]["SOPInstanceUID"]: each["ID"] for each in listed}

    def received(self):
        """{SOP Instance UID: file}, fetched over REST."""
        directory = self.case.directory / f"fetched-{self.port}"
        directory.mkdir(exist_ok=True)
        found = {}
        for uid, identifier in self.instances().items():
            found[uid] = directory / f"{identifier}.dcm"
            found[uid].write_bytes(self._rest(f"/instances/{identifier}/file"))
        return found

    def delete(self, uid):
        self._rest(f"/instances/{self.instances()[uid]}", method="DELETE")

    def clear(self):
        for identifier in self.instances().values():
            try:
                self._rest(f"/instances/{identifier}", method="DELETE")
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise


class Sandbox:
    """kuva-sandbox in a directory of its own, as --init makes it; may be stopped, changed and started again."""

    AE = "KUVASANDBOX"
    CALLING_AE = "KUVAPLAIN"  # known, as is KUVA, by what --init writes

    def __init__(self, case, name="sandbox", **keys):
        self.case, self.name = case, name
        self.root = case.directory / name
        self.process = None
        self.starts = 0
        made = case.tool("kuva-sandbox", "--init", self.root)
        case.assertEqual(made.code, 0, made.err)
        ports, = made.of_type("sandbox")
        self.port, self.tls_port = ports["plainPort"], ports["tlsPort"]
        self.web_port = ports["webPort"]
        self.hl7_port, self.hl7_tls_port = ports["hl7Port"], ports["hl7TlsPort"]
        self.config, self.tls = self.root / "kuva.toml", self.root / "tls"
        self.storage, self.transcript = self.root / "storage", self.root / "transcript.ndjson"
        self.made_toml = (self.root / "sandbox.toml").read_text()
        self.configure(**keys)

    def configure(self, **keys):
        """Keys of sandbox.toml, beside those that --init writes; a dict is of the table of that name."""
        tables = {key: value for key, value in keys.items() if isinstance(value, dict)}
        text = "".join(f"{key} = {toml_value(value)}\n" for key, value in keys.items() if key not in tables)
        text += self.made_toml
        for table, values in tables.items():
            lines = "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())
            text = text.replace(f"[{table}]\n", f"[{table}]\n{lines}", 1)
        self.root.joinpath("sandbox.toml").write_text(text)

    def start(self):
        self.starts += 1
        command = [harness.TOOLS / "kuva-sandbox", "--format", "json", self.root]
        self.process = self.case.start(f"{self.name}-{self.starts}", command, environment=harness.TOOL_ENVIRONMENT)
        self.process.wait_for_port(self.port)
        self.process.wait_for_port(self.tls_port)
        self.process.wait_for_port(self.web_port)

    def stop(self):
        """By SIGTERM; its exit code. Its records are checked."""
        code = self.process.stop()
        harness.Result("kuva-sandbox", code, self.process.out.read_bytes(), self.process.err.read_text()).parse()
        return code

    def stored_files(self):
        return sorted(self.storage.rglob("*.dcm"))

    def received(self):
        return {compare_datasets.File(path).sop_instance: path for path in self.stored_files()}

    def delete(self, uid):
        """As a disk that lost a file would."""
        self.received()[uid].unlink()
