//! The manifest by its keys: read, explained, changed and checked.

use std::{path::Path, time::Duration};

use serde_json::Value;

use crate::{
    adapters::{
        files,
        lock_file::{DirectoryLock, LockedDirectory, lock_directory},
    },
    domain::{ExitClass, Failure, Failures, Stage, conceal, conceal_named},
    features::{
        Project,
        up::{Scope, Wanted, preview},
    },
    manifest::{
        self, Request,
        config::{Change, Changed, KeyPath, Layer, View, change},
        dataset,
    },
    report::{
        ConfigChange, ConfigExplained, ConfigShown, ConfigValidated, ConfigValue, ConfigWritten,
        Outbox, PlanStep,
    },
};

/// How long somebody else may take to change a file.
const HELD_FOR: Duration = Duration::from_secs(5);

/// What becomes of the values of passwords, tokens and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Something else stands in their place.
    Concealed,
    /// They are shown.
    Revealed,
}

/// The value of a key.
pub fn get(request: &Request, key: &KeyPath, secrets: Secrets) -> Result<ConfigValue, Failures> {
    let Some(mut value) = view(request)?.value(key)? else {
        let failure = Failure::new(
            "config.not-written",
            ExitClass::Usage,
            format!("`{key}` has no value"),
        );
        let failure = failure.because("no layer sets it, and nothing is built in");
        let help = format!("devenv config explain '{key}'   # says what it is for");
        return Err(failure.help(help).into());
    };
    if secrets == Secrets::Concealed {
        conceal_named(key.name(), &mut value);
    }
    Ok(ConfigValue {
        key: key.to_string(),
        value,
    })
}

/// The manifest as all its layers make it, or one of them.
pub fn show(
    request: &Request,
    layer: Option<&Layer>,
    secrets: Secrets,
) -> Result<ConfigShown, Failures> {
    let mut shown = shown_of(request, layer)?;
    if secrets == Secrets::Concealed {
        conceal(&mut shown.manifest);
    }
    Ok(shown)
}

fn shown_of(request: &Request, layer: Option<&Layer>) -> Result<ConfigShown, Failures> {
    let view = view(&Layer::among(layer, request))?;
    let Some(layer) = layer else {
        return Ok(ConfigShown {
            files: view.files().iter().map(|file| shown(file)).collect(),
            manifest: view.whole(),
        });
    };
    let file = layer.file(request)?;
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

/// Where the value of a key comes from.
pub fn explain(request: &Request, key: &KeyPath) -> Result<ConfigExplained, Failures> {
    let explained = view(request)?.explain(key)?;
    let written = explained.written.into_iter().map(|written| ConfigWritten {
        file: shown(&written.place.file),
        line: written.place.line,
        key: written.key,
        value: concealed(key, written.value),
    });
    Ok(ConfigExplained {
        value: concealed(key, explained.value),
        key: explained.key,
        meaning: explained.meaning,
        written: written.collect(),
        builtin: explained.builtin,
    })
}

/// Changes keys in the files in which they are written; nothing is written unless all of it leaves a good manifest.
///
/// One at a time: of two at the same moment the second changes what the first has left.
pub async fn write(
    request: &Request,
    changes: &[Change],
    layer: Option<&Layer>,
) -> Result<Vec<ConfigChange>, Failures> {
    let _held = hold(&request.directory).await?;
    let edited = change(request, changes, layer, &files_of(request))?;
    for (file, text) in &edited.files {
        let path = request.directory.join(file);
        if let Some(directory) = path.parent() {
            files::create_dir(directory).map_err(|error| error.failure())?;
        }
        files::write_over(&path, text.as_bytes()).map_err(|error| error.failure())?;
    }
    let changes = changes.iter().map(Change::key).zip(edited.changed);
    Ok(changes.map(|(key, changed)| entry(key, changed)).collect())
}

/// Waits until nobody else changes the files of a project.
async fn hold(directory: &Path) -> Result<Option<LockedDirectory>, Failure> {
    let locking = lock_directory(directory, HELD_FOR).await;
    match locking.map_err(|error| error.failure())? {
        DirectoryLock::Locked(held) => Ok(Some(held)),
        // Where nothing can be locked, the later one wins.
        DirectoryLock::Unsupported => Ok(None),
        DirectoryLock::Held => {
            let what = "another command changes the manifest, and does not end";
            Err(Failure::new("config.busy", ExitClass::Locked, what)
                .because(format!("{} is locked", directory.display()))
                .help("wait for it, and try again"))
        }
    }
}

/// What it takes until a change of the manifest is in effect.
pub enum Effects {
    /// Nothing of the environment runs.
    NotRunning,
    /// What `up` will do.
    Steps(Vec<PlanStep>),
    /// What is in the way of it.
    Obstacle(String),
}

/// What an `up` will do to a project's environment.
pub async fn effects(project: &Project, outbox: &Outbox) -> Result<Effects, Failures> {
    if project.record(outbox).await?.is_none() {
        return Ok(Effects::NotRunning);
    }
    let wanted = Wanted {
        services: Vec::new(),
        scope: Scope::WithDependencies,
        deadline: Duration::MAX,
    };
    Ok(match preview(project, &wanted, outbox).await {
        Ok(plan) if plan.has_stage(Stage::Cluster) => Effects::NotRunning,
        Ok(plan) => Effects::Steps(plan.summaries().iter().map(PlanStep::from).collect()),
        // What was asked for is done: why it has no effect yet is told beside it.
        Err(failures) => match failures.iter().next() {
            Some(failure) => Effects::Obstacle(failure.what.clone()),
            None => Effects::NotRunning,
        },
    })
}

fn entry(key: &KeyPath, changed: Changed) -> ConfigChange {
    ConfigChange {
        key: changed.key,
        file: shown(&changed.file),
        before: concealed(key, changed.before),
        after: concealed(key, changed.after),
        overridden_by: changed.overridden,
    }
}

/// Looks for mistakes in the manifest as it is asked for, then with each profile alone, and in all datasets.
pub fn validate(request: &Request) -> Result<ConfigValidated, Failures> {
    let files = files_of(request);
    let mut found: Vec<Failure> = Vec::new();
    let loaded = manifest::load(request, &files);
    let mistakes = loaded.as_ref().err().into_iter();
    found.extend(mistakes.flat_map(|failures| failures.iter().cloned()));
    let profiles = manifest::profiles(&files);
    for name in profiles.iter().filter_map(|name| name.parse().ok()) {
        let profiles = vec![name];
        let alone = Request {
            profiles,
            ..request.clone()
        };
        found.extend(manifest::load(&alone, &files).err().into_iter().flatten());
    }
    let mut datasets = Vec::new();
    if let Ok(loaded) = &loaded {
        let catalogue = dataset::list(&files)?;
        let broken = catalogue.broken.into_iter();
        found.extend(broken.flat_map(|broken| broken.failures));
        for listed in catalogue.good {
            let chain = dataset::load(&listed.name, &loaded.environment, &files);
            found.extend(chain.err().into_iter().flatten());
            datasets.push(listed.name.to_string());
        }
    }
    match Failures::from_list(each_once(found)) {
        Some(failures) => Err(failures),
        None => Ok(ConfigValidated {
            files: view(request)?
                .files()
                .iter()
                .map(|file| shown(file))
                .collect(),
            profiles,
            datasets,
        }),
    }
}

/// A mistake in the manifest is one in every profile too.
fn each_once(found: Vec<Failure>) -> Vec<Failure> {
    let mut told: Vec<Failure> = Vec::new();
    for failure in found {
        let is_told = |other: &Failure| {
            (other.code, &other.place, &other.what) == (failure.code, &failure.place, &failure.what)
        };
        if !told.iter().any(is_told) {
            told.push(failure);
        }
    }
    told
}

fn concealed(key: &KeyPath, value: Option<Value>) -> Option<Value> {
    let mut value = value?;
    conceal_named(key.name(), &mut value);
    Some(value)
}

fn view(request: &Request) -> Result<View, Failures> {
    View::of(request, &files_of(request))
}

fn files_of(request: &Request) -> files::Project {
    files::Project::new(request.directory.clone())
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
