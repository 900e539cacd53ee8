//! Somebody else's cluster, which is the user's current context and must never hear from devenv.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A socket that counts who comes, and a kubeconfig that leads to it.
pub(crate) struct Decoy {
    address: String,
    visitors: Arc<AtomicUsize>,
    kubeconfig: PathBuf,
    text: String,
}

impl Decoy {
    /// Listens from now on; `root/home/.kube/config` leads there.
    pub(crate) fn start(root: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let visitors = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visitors);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: decoy\n\
             clusters: [{{ name: decoy, cluster: {{ server: {address:?} }} }}]\n\
             users: [{{ name: decoy, user: {{}} }}]\n\
             contexts: [{{ name: decoy, context: {{ cluster: decoy, user: decoy }} }}]\n"
        );
        let kubeconfig = root.join("home/.kube/config");
        std::fs::create_dir_all(kubeconfig.parent().unwrap()).unwrap();
        std::fs::write(&kubeconfig, &text).unwrap();
        Self {
            address,
            visitors,
            kubeconfig,
            text,
        }
    }

    /// Every variable by which a tool could be led to it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KUBECONFIG", self.kubeconfig.display().to_string()),
            ("HELM_KUBEAPISERVER", self.address.clone()),
            ("HELM_KUBECONTEXT", "decoy".to_owned()),
            ("HELM_NAMESPACE", "elsewhere".to_owned()),
            ("KUBERNETES_MASTER", self.address.clone()),
        ]
    }

    /// How many came.
    pub(crate) fn visitors(&self) -> usize {
        self.visitors.load(Ordering::SeqCst)
    }

    /// Nobody came, and the user's kubeconfig is as it was.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(self.visitors(), 0, "the user's current context was asked");
        let now = std::fs::read_to_string(&self.kubeconfig).unwrap();
        assert_eq!(now, self.text, "the user's kubeconfig was changed");
    }
}
