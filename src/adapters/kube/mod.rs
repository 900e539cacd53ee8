//! The cluster's API: what is there, a live view of it, and the few things done to it directly.
//!
//! Called by the engine and the features. Bound to the private kubeconfig of one environment: the user's
//! current context is never looked at. Every request has a deadline. What comes back is of the domain;
//! Kubernetes' own types do not leave this folder, except a pod's specification on its way in.

mod act;
mod certificate;
mod claims;
mod copies;
mod debug;
mod dry_run;
mod error;
mod exec;
#[cfg(test)]
mod fake;
mod forward;
mod held;
mod logs;
mod map;
mod marks;
mod observe;
mod pods;
mod replay;
mod room;
mod run;
mod secrets;
mod view;
mod wait;

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use rustls::{RootCertStore, pki_types::CertificateDer, server::ParsedCertificate};

pub use self::{
    certificate::{CertificateFault, client_certificate_end},
    claims::{Claims, Unreadable, claims_in, objects_in},
    dry_run::{Existing, Objection},
    error::{KubeError, runtime_words, shell_code_of},
    exec::{ExecEnd, ExecRequest, TerminalSize},
    held::HeldObject,
    logs::{LogLine, LogMark, LogOptions},
    observe::ClusterContents,
    pods::PodEnd,
    room::{Amounts, NodeRoom, Room},
    run::{NotRun, Ran},
    view::{ClusterView, Connection, LiveView},
};
use crate::domain::ClusterIdentity;

/// The namespace of what the cluster itself is made of.
const SYSTEM: &str = "kube-system";
/// The Deployment that answers with the addresses of services.
const DNS: &str = "coredns";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(15);
/// How long the question who the cluster is may take: it is asked before every run.
const IDENTITY: Duration = Duration::from_secs(2);

/// A connection to one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    url: String,
    authority: String,
    roots: Arc<RootCertStore>,
}

impl Cluster {
    /// Makes ready to talk to the cluster that the kubeconfig names; nothing is sent yet.
    ///
    /// Services live in `namespace`.
    pub async fn connect(
        kubeconfig: &Path,
        namespace: impl Into<String>,
    ) -> Result<Self, KubeError> {
        let unreadable = |source: &dyn std::error::Error| KubeError::Kubeconfig {
            path: kubeconfig.to_owned(),
            why: source.to_string(),
        };
        // Fails if it is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let file = Kubeconfig::read_from(kubeconfig).map_err(|error| unreadable(&error))?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .map_err(|error| unreadable(&error))?;
        config.connect_timeout = Some(CONNECT);
        // The cluster is on this machine: a proxy could only be in the way.
        config.proxy_url = None;
        let authority = authority(&config).map_err(|error| unreadable(&error))?;
        let url = config.cluster_url.to_string();
        let roots = certificate::roots(&config);
        let client = Client::try_from(config).map_err(|error| unreadable(&error))?;
        Ok(Self {
            client,
            namespace: namespace.into(),
            url,
            authority,
            roots,
        })
    }

    /// Who the cluster is. Answers or fails within 2 seconds.
    pub async fn identity(&self) -> Result<ClusterIdentity, KubeError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = call(
            "ask the cluster who it is",
            IDENTITY,
            namespaces.get_metadata(SYSTEM),
        )
        .await?;
        Ok(ClusterIdentity {
            uid: namespace.metadata.uid.unwrap_or_default(),
            authority: self.authority.clone(),
        })
    }

    /// Whether the names of services are found in the cluster.
    pub async fn has_names(&self) -> Result<bool, KubeError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), SYSTEM);
        let found = call("look at its DNS", IDENTITY, deployments.get_opt(DNS)).await?;
        let status = found.and_then(|found| found.status);
        Ok(status.is_some_and(|status| status.available_replicas > Some(0)))
    }

    /// Where its API is, such as `https://127.0.0.1:40973/`.
    pub fn api_server_url(&self) -> &str {
        &self.url
    }

    /// The namespace of its services.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("url", &self.url)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// The hash of the public keys of the cluster's certificate authorities.
fn authority(config: &Config) -> Result<String, rustls::Error> {
    let mut hasher = blake3::Hasher::new();
    for certificate in config.root_cert.iter().flatten() {
        let certificate = CertificateDer::from(certificate.as_slice());
        let certificate = ParsedCertificate::try_from(&certificate)?;
        hasher.update(&certificate.subject_public_key_info());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// One request with its deadline and its name.
async fn call<T>(
    doing: &str,
    deadline: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, KubeError> {
    match tokio::time::timeout(deadline, request).await {
        Ok(answer) => answer.map_err(|error| KubeError::of(doing, error)),
        Err(_) => Err(KubeError::Timeout {
            doing: doing.to_owned(),
            after: deadline,
            last: None,
        }),
    }
}
