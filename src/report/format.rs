//! The forms in which a document is published.

/// The form of standard output: `--output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// One JSON document; JSON Lines for streams
    Json,
    /// The same document as YAML
    Yaml,
}
