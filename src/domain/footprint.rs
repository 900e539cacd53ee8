//! What an environment occupies on this machine, whatever state its cluster is in.

/// Whether something is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// There is none.
    #[default]
    Absent,
    /// It is there and does not run.
    Stopped,
    /// It runs, or some of it does.
    Running,
}

/// What an environment occupies on this machine. Only what is its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The containers of the cluster's nodes, its network and its volume.
    pub cluster: Presence,
    /// The container of the image registry.
    pub registry: Presence,
    /// The names of images that were built for it and are kept by the docker engine.
    pub images: Vec<String>,
    /// The docker volumes in which its nodes keep images.
    pub image_stores: Vec<String>,
    /// Whether its registry keeps images.
    pub registry_has_images: bool,
    /// Services whose volumes hold data.
    pub volumes: Vec<String>,
    /// How many snapshots there are of their data.
    pub snapshots: usize,
}

impl Footprint {
    /// Whether any images are kept for it.
    pub const fn has_images(&self) -> bool {
        self.registry_has_images || !self.images.is_empty() || !self.image_stores.is_empty()
    }

    /// Whether there is data of any time.
    pub const fn has_data(&self) -> bool {
        !self.volumes.is_empty() || self.snapshots > 0
    }

    /// Whether nothing of it runs or could be started.
    pub fn is_down(&self) -> bool {
        self.cluster == Presence::Absent && self.registry == Presence::Absent
    }
}
