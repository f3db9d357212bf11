//! Command lines of the three programs. Pure: paths and ports in, arguments out.

use std::path::Path;

use super::certs::Pki;

/// Quotas, bound tokens and the rest come with the defaults; these only say where we live.
const ISSUER: &str = "https://kubernetes.default.svc";

/// Controllers that need nodes, clouds or disks, which we do not have.
const CONTROLLERS: &str = "*,-node-ipam-controller,-node-lifecycle-controller,-persistentvolume-binder-controller,\
    -persistentvolume-attach-detach-controller";

/// The store listens on a socket in our private folder: no port to collide on, and nobody else can connect.
pub(super) fn etcd(dir: &Path, socket: &Path) -> Vec<String> {
    vec![
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls=unix://{}", socket.display()),
        format!("--listen-peer-urls=unix://{}.peer", socket.display()),
        // Never dialled: there is one member, and its only client knows the socket.
        "--advertise-client-urls=http://127.0.0.1:2379".into(),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ]
}

pub(super) fn api_server(dir: &Path, socket: &Path, port: u16, pki: &Pki, audit: bool) -> Vec<String> {
    let mut flags = vec![
        format!("--etcd-servers=unix://{}", socket.display()),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        "--endpoint-reconciler-type=none".into(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", pki.server_cert.display()),
        format!("--tls-private-key-file={}", pki.server_key.display()),
        format!("--client-ca-file={}", pki.ca_cert.display()),
        "--authorization-mode=RBAC".into(),
        "--enable-bootstrap-token-auth".into(),
        format!("--service-account-key-file={}", pki.accounts_public.display()),
        format!(
            "--service-account-signing-key-file={}",
            pki.accounts_key.display()
        ),
        format!("--service-account-issuer={ISSUER}"),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        "--profiling=false".into(),
    ];
    if audit {
        flags.push(format!(
            "--audit-policy-file={}",
            dir.join("audit-policy.json").display()
        ));
        flags.push(format!("--audit-log-path={}", dir.join("audit.log").display()));
    }
    flags
}

pub(super) fn controller_manager(kubeconfig: &Path, pki: &Pki) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--controllers={CONTROLLERS}"),
        "--use-service-account-credentials".into(),
        "--leader-elect=false".into(),
        // The default of 20 requests a second makes its start, and each deleted namespace, take seconds.
        "--kube-api-qps=500".into(),
        "--kube-api-burst=1000".into(),
        format!("--root-ca-file={}", pki.ca_cert.display()),
        format!(
            "--service-account-private-key-file={}",
            pki.accounts_key.display()
        ),
        format!("--cluster-signing-cert-file={}", pki.ca_cert.display()),
        format!("--cluster-signing-key-file={}", pki.ca_key.display()),
        // No port of its own: its first ServiceAccount says that it works.
        "--secure-port=0".into(),
        "--profiling=false".into(),
    ]
}
