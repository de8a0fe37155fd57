"""One cluster's certificates and kubeconfigs, made with openssl."""

import base64
import pathlib
import subprocess
import textwrap


class Pki:
    def __init__(self, folder, cluster, server):
        """`server` is the API server's URL, for the kubeconfigs."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.cluster, self.server = cluster, server
        for name in ("ca", "front-proxy-ca"):
            self._key(name)
            self._openssl("req", "-x509", "-new", "-key", f"{name}.key", "-subj",
                          f"/CN={name}-{cluster}", "-days", "30", "-out", f"{name}.crt",
                          "-addext", "basicConstraints=critical,CA:TRUE",
                          "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
        self._openssl("genrsa", "-out", "sa.key", "2048")
        self._openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")

    def path(self, name):
        return self.folder / name

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True,
                       timeout=60)

    def _key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                      f"{name}.key")

    def certificate(self, name, subject, usage, ca="ca", names=""):
        """NAME.crt and NAME.key. `usage` is serverAuth or clientAuth."""
        self._key(name)
        lines = ["basicConstraints=critical,CA:FALSE",
                 "keyUsage=critical,digitalSignature,keyEncipherment", f"extendedKeyUsage={usage}"]
        if names:
            lines.append(f"subjectAltName={names}")
        self.path(f"{name}.ext").write_text("\n".join(lines) + "\n")
        self._openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out",
                      f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey",
                      f"{ca}.key", "-CAcreateserial", "-days", "30", "-extfile", f"{name}.ext",
                      "-out", f"{name}.crt")

    def _data(self, name):
        return base64.b64encode(self.path(name).read_bytes()).decode()

    def user(self, name):
        """The user part of a kubeconfig with that certificate."""
        return (f"{{client-certificate-data: {self._data(name + '.crt')}, "
                f"client-key-data: {self._data(name + '.key')}}}")

    def kubeconfig(self, name, user=None):
        """Writes NAME.kubeconfig, for the user with certificate NAME or for `user`."""
        path = self.path(f"{name}.kubeconfig")
        path.write_text(textwrap.dedent(f"""\
            apiVersion: v1
            kind: Config
            clusters:
            - name: {self.cluster}
              cluster: {{server: "{self.server}", certificate-authority-data: {self._data("ca.crt")}}}
            users:
            - name: {self.cluster}-{name}
              user: {user or self.user(name)}
            contexts:
            - name: {self.cluster}
              context: {{cluster: {self.cluster}, user: {self.cluster}-{name}}}
            current-context: {self.cluster}
            """))
        return path
