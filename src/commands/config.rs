//! `devenv config`

use std::path::Path;

use super::{Assignment, Context, Exit, project};
use crate::{
    adapters::files,
    domain::{ExitClass, Failure, Failures, Stage},
    features::up::{Scope, Wanted, preview},
    manifest::{
        self, NamedFiles,
        config::{Change, Changed, KeyPath, Layer, View, change},
        dataset,
    },
    report::{
        ConfigChange, ConfigChanged, ConfigExplained, ConfigSchema, ConfigShown, ConfigValidated,
        ConfigValue, ConfigWritten, PlanStep, Report,
    },
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
  devenv config get cluster.kubernetes -p production-like")]
    Get {
        /// The key
        #[arg(value_name = "KEY")]
        key: KeyPath,
    },
    /// Change values in place; comments and layout stay
    ///
    /// A key is changed in the file in which it is written last, else in devenv.yaml. All changes together must leave a
    /// good manifest, or nothing is written. What it takes to have effect is told.
    #[command(after_help = "Examples:
  devenv config set services.order.replicas=3
  devenv config set kubernetes.version=1.34
  devenv config set logging.level=debug --layer local   # for me alone
  devenv config set 'services.order.env.GREETING=\"a: b\"' services.order.ports='[8080, 9090]'")]
    Set {
        /// Keys and their values, in YAML
        #[arg(value_name = "KEY=VALUE", required = true)]
        assignments: Vec<Assignment>,
        /// Change this layer: `manifest`, `local` or a profile
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
        /// Change this layer: `manifest`, `local` or a profile
        #[arg(long, value_name = "LAYER")]
        layer: Option<Layer>,
    },
    /// Print the manifest as all its layers make it, or one of them
    #[command(after_help = "Examples:
  devenv config show
  devenv config show -p production-like
  devenv config show --layer local")]
    Show {
        /// Only this layer: `manifest`, `local` or a profile
        #[arg(long, value_name = "LAYER")]
        layer: Option<Layer>,
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
    /// Check the manifest, every profile and every dataset; all mistakes at once
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
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let report = match args.action {
        Action::Get { key } => Report::ConfigGet(get(&key, context)?),
        Action::Set { assignments, layer } => {
            let changes = assignments.into_iter().map(assigned);
            let changes: Vec<Change> = changes.collect::<Result<_, _>>()?;
            Report::ConfigChange(changed(&changes, layer.as_ref(), context).await?)
        }
        Action::Unset { keys, layer } => {
            let changes: Vec<Change> = keys.into_iter().map(Change::Unset).collect();
            Report::ConfigChange(changed(&changes, layer.as_ref(), context).await?)
        }
        Action::Show { layer } => Report::ConfigShow(show(layer.as_ref(), context)?),
        Action::Explain { key } => Report::ConfigExplain(explain(&key, context)?),
        Action::Validate => Report::ConfigValidate(validate(context)?),
        Action::Schema { of } => {
            let document = match of {
                Kind::Manifest => manifest::schema(),
                Kind::Dataset => dataset::schema(),
                Kind::Sanitize => manifest::sanitize::schema(),
            };
            Report::ConfigSchema(ConfigSchema { document })
        }
    };
    context.outbox.report(report).await;
    Ok(Exit::Success)
}

fn assigned(assignment: Assignment) -> Result<Change, Failure> {
    let key = assignment.path.parse();
    let key = key.map_err(|error: manifest::config::InvalidKeyPath| {
        let what = format!("`{}` is no key", assignment.path);
        Failure::new("config.key", ExitClass::Usage, what).because(error.to_string())
    })?;
    Ok(Change::Set(key, assignment.value))
}

fn view(context: &Context, layer: Option<&Layer>) -> Result<(View, manifest::Request), Failures> {
    let mut request = project::request(context, NamedFiles::Assumed);
    if let Some(Layer::Profile(name)) = layer
        && !request.profiles.contains(name)
    {
        request.profiles.push(name.clone());
    }
    let files = files::Project::new(request.directory.clone());
    Ok((View::of(&request, &files)?, request))
}

fn get(key: &KeyPath, context: &Context) -> Result<ConfigValue, Failures> {
    let (view, _) = view(context, None)?;
    let Some(value) = view.value(key)? else {
        let failure = Failure::new(
            "config.not-written",
            ExitClass::Usage,
            format!("`{key}` has no value"),
        );
        let failure = failure.because("no layer sets it, and nothing is built in");
        let help = format!("devenv config explain '{key}'   # says what it is for");
        return Err(failure.help(help).into());
    };
    Ok(ConfigValue {
        key: key.to_string(),
        value,
    })
}

fn show(layer: Option<&Layer>, context: &Context) -> Result<ConfigShown, Failures> {
    let (view, request) = view(context, layer)?;
    let Some(layer) = layer else {
        return Ok(ConfigShown {
            files: view.files().iter().map(|file| shown(file)).collect(),
            manifest: view.whole(),
        });
    };
    let file = layer.file(&request);
    let manifest = view.layer(&file).ok_or_else(|| {
        let what = format!("there is nothing in the layer {layer}");
        Failure::new("config.no-layer", ExitClass::Usage, what)
            .because(format!("{} is not there, or empty", file.display()))
            .help(format!("devenv config set --layer {layer} KEY=VALUE"))
    })?;
    Ok(ConfigShown {
        files: vec![shown(&file)],
        manifest,
    })
}

fn explain(key: &KeyPath, context: &Context) -> Result<ConfigExplained, Failures> {
    let (view, _) = view(context, None)?;
    let explained = view.explain(key)?;
    let written = explained.written.into_iter().map(|written| ConfigWritten {
        file: shown(&written.place.file),
        line: written.place.line,
        key: written.key,
        value: written.value,
    });
    Ok(ConfigExplained {
        key: explained.key,
        meaning: explained.meaning,
        value: explained.value,
        written: written.collect(),
        builtin: explained.builtin,
    })
}

async fn changed(
    changes: &[Change],
    layer: Option<&Layer>,
    context: &Context,
) -> Result<ConfigChanged, Failures> {
    let request = project::request(context, NamedFiles::Required);
    let files = files::Project::new(request.directory.clone());
    let edited = change(&request, changes, layer, &files)?;
    for (file, text) in &edited.files {
        let path = request.directory.join(file);
        files::write_over(&path, text.as_bytes()).map_err(|error| error.failure())?;
    }
    let mut report = ConfigChanged {
        changes: edited.changed.into_iter().map(entry).collect(),
        is_running: false,
        effects: Vec::new(),
        obstacle: None,
    };
    let project = project::open(context).await?;
    if project.record(&context.outbox).await?.is_none() {
        return Ok(report);
    }
    let wanted = Wanted {
        services: Vec::new(),
        scope: Scope::WithDependencies,
        deadline: std::time::Duration::MAX,
    };
    match preview(&project, &wanted, &context.outbox).await {
        Ok(plan) if plan.has_stage(Stage::Cluster) => {}
        Ok(plan) => {
            report.is_running = true;
            report.effects = plan.summaries().iter().map(PlanStep::from).collect();
        }
        // What was asked for is done: why it has no effect yet is told beside it.
        Err(failures) => {
            report.obstacle = failures.iter().next().map(|failure| failure.what.clone());
        }
    }
    Ok(report)
}

fn entry(changed: Changed) -> ConfigChange {
    ConfigChange {
        key: changed.key,
        file: shown(&changed.file),
        before: changed.before,
        after: changed.after,
        overridden_by: changed.overridden,
    }
}

/// Looks for mistakes in the manifest as it is asked for, then with each profile alone, and in all datasets.
fn validate(context: &Context) -> Result<ConfigValidated, Failures> {
    let request = project::request(context, NamedFiles::Required);
    let files = files::Project::new(request.directory.clone());
    let mut found: Vec<Failure> = Vec::new();
    let loaded = manifest::load(&request, &files);
    let profiles = manifest::profiles(&files);
    for name in profiles.iter().filter_map(|name| name.parse().ok()) {
        let profiles = vec![name];
        let alone = manifest::Request {
            profiles,
            ..request.clone()
        };
        found.extend(manifest::load(&alone, &files).err().into_iter().flatten());
    }
    let mut datasets = Vec::new();
    match &loaded {
        Err(failures) => found.splice(..0, failures.clone()).for_each(drop),
        Ok(loaded) => {
            let catalogue = dataset::list(&files)?;
            found.extend(
                catalogue
                    .broken
                    .into_iter()
                    .flat_map(|broken| broken.failures),
            );
            for listed in catalogue.good {
                let chain = dataset::load(&listed.name, &loaded.environment, &files);
                found.extend(chain.err().into_iter().flatten());
                datasets.push(listed.name.to_string());
            }
        }
    }
    // A mistake in the manifest is one in every profile too.
    let mut told: Vec<Failure> = Vec::new();
    for failure in found {
        let is_told = |other: &Failure| {
            (other.code, &other.place, &other.what) == (failure.code, &failure.place, &failure.what)
        };
        if !told.iter().any(is_told) {
            told.push(failure);
        }
    }
    match Failures::from_list(told) {
        Some(failures) => Err(failures),
        None => Ok(ConfigValidated {
            files: view(context, None)?
                .0
                .files()
                .iter()
                .map(|file| shown(file))
                .collect(),
            profiles,
            datasets,
        }),
    }
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
