//! `devenv config`

use super::{Assignment, Context, Exit, project};
use crate::{
    adapters::files,
    domain::{EventKind, ExitClass, Failure, Failures, RunChange},
    features::{
        Project,
        config::{self, Effects, Secrets},
    },
    manifest::{
        self, NamedFiles,
        config::{Change, KeyPath, Layer},
        dataset,
    },
    report::{ConfigChange, ConfigChanged, ConfigSchema, Report},
};

/// Read, explain and change the manifest by its keys
///
/// A key is the way to a value, such as `services.order.replicas` or `services.order.ports[0].port`. `kubernetes.version`,
/// `registry.port`, `logging.level` and `tracing.level` stand for `cluster.kubernetes`, `cluster.registry.port`,
/// `defaults.env.LOG_LEVEL` and `defaults.env.OTEL_LOG_LEVEL`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the value of a key
    #[command(after_help = "Examples:
  devenv config get services.order.replicas
  devenv config get services.order.env -o json
  devenv config get services.db.env.POSTGRES_PASSWORD --reveal
  devenv config get cluster.kubernetes -p production-like")]
    Get {
        /// The key
        #[arg(value_name = "KEY")]
        key: KeyPath,
        /// Show passwords and tokens too
        #[arg(long)]
        reveal: bool,
    },
    /// Change values in place; comments and layout stay
    ///
    /// A key is changed in the file in which it is written last, else in devenv.yaml. All changes together must leave a
    /// good manifest, or nothing is written. What it takes to have effect is told.
    #[command(after_help = "Examples:
  devenv config set services.order.replicas=3
  devenv config set kubernetes.version=1.34
  devenv config set logging.level=debug --layer local   # for me alone
  devenv config set services.order.replicas=2 --layer branch   # for all on this branch
  devenv config set 'services.order.env.GREETING=\"a: b\"' services.order.ports='[8080, 9090]'")]
    Set {
        /// Keys and their values, in YAML
        #[arg(value_name = "KEY=VALUE", required = true)]
        assignments: Vec<Assignment>,
        /// Change this layer: `manifest`, `branch`, `local` or a profile
        #[arg(long, value_name = "LAYER")]
        layer: Option<Layer>,
    },
    /// Remove keys from where they are written, so that the layer below or the default holds
    #[command(after_help = "Examples:
  devenv config unset services.order.replicas
  devenv config unset services.order.env.LOG_LEVEL --layer local")]
    Unset {
        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<KeyPath>,
        /// Change this layer: `manifest`, `branch`, `local` or a profile
        #[arg(long, value_name = "LAYER")]
        layer: Option<Layer>,
    },
    /// Print the manifest as all its layers make it, or one of them
    #[command(after_help = "Examples:
  devenv config show
  devenv config show -p production-like
  devenv config show --layer local")]
    Show {
        /// Only this layer: `manifest`, `branch`, `local` or a profile
        #[arg(long, value_name = "LAYER")]
        layer: Option<Layer>,
        /// Show passwords and tokens too
        #[arg(long)]
        reveal: bool,
    },
    /// Say where the value of a key comes from: the file and line of every layer that sets it
    #[command(after_help = "Examples:
  devenv config explain services.order.replicas
  devenv config explain cluster.kubernetes -p ci")]
    Explain {
        /// The key
        #[arg(value_name = "KEY")]
        key: KeyPath,
    },
    /// Check the manifest, every profile and every dataset, and that they keep to policy.yaml; all mistakes at once
    #[command(after_help = "Examples:
  devenv config validate
  devenv config validate -o json   # exit code 3 and every mistake with its place")]
    Validate,
    /// Print the JSON Schema of the manifest, for editors
    #[command(after_help = "Examples:
  devenv config schema > devenv.schema.json
  devenv config schema dataset")]
    Schema {
        /// The kind of file
        #[arg(value_enum, default_value_t = Kind::Manifest)]
        of: Kind,
    },
}

/// A kind of file that people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// devenv.yaml, and profiles
    Manifest,
    /// datasets/<name>/dataset.yaml
    Dataset,
    /// Rules of `snapshot export --sanitize`
    Sanitize,
    /// policy.yaml
    Policy,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    // What is only read may name files that are gone.
    let lenient = || project::request(context, NamedFiles::Assumed);
    let strict = || project::request(context, NamedFiles::Required);
    let report = match args.action {
        Action::Get { key, reveal } => {
            Report::ConfigGet(config::get(&lenient(), &key, secrets(reveal))?)
        }
        Action::Set { assignments, layer } => {
            let changes = assignments.into_iter().map(assigned);
            let changes: Vec<Change> = changes.collect::<Result<_, _>>()?;
            Report::ConfigChange(changed("config set", &changes, layer.as_ref(), context).await?)
        }
        Action::Unset { keys, layer } => {
            let changes: Vec<Change> = keys.into_iter().map(Change::Unset).collect();
            Report::ConfigChange(changed("config unset", &changes, layer.as_ref(), context).await?)
        }
        Action::Show { layer, reveal } => {
            let shown = config::show(&lenient(), layer.as_ref(), secrets(reveal))?;
            Report::ConfigShow(shown)
        }
        Action::Explain { key } => Report::ConfigExplain(config::explain(&lenient(), &key)?),
        Action::Validate => Report::ConfigValidate(config::validate(&strict())?),
        Action::Schema { of } => {
            let document = match of {
                Kind::Manifest => manifest::schema(),
                Kind::Dataset => dataset::schema(),
                Kind::Sanitize => manifest::sanitize::schema(),
                Kind::Policy => manifest::policy::schema(),
            };
            Report::ConfigSchema(ConfigSchema { document })
        }
    };
    context.outbox.report(report).await;
    Ok(Exit::Success)
}

const fn secrets(reveal: bool) -> Secrets {
    if reveal {
        Secrets::Revealed
    } else {
        Secrets::Concealed
    }
}

fn assigned(assignment: Assignment) -> Result<Change, Failure> {
    let key = assignment.path.parse();
    let key = key.map_err(|error: manifest::config::InvalidKeyPath| {
        let what = format!("`{}` is no key", assignment.path);
        Failure::new("config.key", ExitClass::Usage, what).because(error.to_string())
    })?;
    Ok(Change::Set(key, assignment.value))
}

async fn changed(
    command: &str,
    changes: &[Change],
    layer: Option<&Layer>,
    context: &Context,
) -> Result<ConfigChanged, Failures> {
    let request = project::request(context, NamedFiles::Required);
    let mut report = ConfigChanged {
        changes: config::write(&request, changes, layer).await?,
        is_running: false,
        effects: Vec::new(),
        obstacle: None,
    };
    let project = project::open(context).await?;
    record(&project, command, &report.changes, context).await?;
    match config::effects(&project, &context.outbox).await? {
        Effects::NotRunning => {}
        Effects::Steps(steps) => {
            report.is_running = true;
            report.effects = steps;
        }
        Effects::Obstacle(what) => report.obstacle = Some(what),
    }
    Ok(report)
}

/// Keeps a journal of what was changed. It is a file that changed, so that nobody needs the environment's lock.
async fn record(
    project: &Project,
    command: &str,
    changes: &[ConfigChange],
    context: &Context,
) -> Result<(), Failures> {
    let journals = project.paths.journal();
    files::create_private_dir(&journals).map_err(|error| error.failure())?;
    context.begin_journal(project, command).await;
    for changed in changes {
        let change = RunChange::Key {
            key: changed.key.clone(),
            file: changed.file.clone(),
            before: changed.before.clone(),
            after: changed.after.clone(),
        };
        context.outbox.event(EventKind::Changed { change }).await;
    }
    // What it will take to have effect is only looked at.
    context.outbox.end_run(Exit::Success.code(), None);
    Ok(())
}
