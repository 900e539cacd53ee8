//! Capabilities of more than one step: bring up, take down, status, logs, exec, a first manifest.
//!
//! Called by `commands`. A feature puts together state, adapters, plan and engine; it returns reports
//! and failures, speaks through the outbox, and knows neither flags nor the terminal.

mod check;
pub mod config;
pub mod data;
pub mod debug;
pub mod desire;
pub mod doctor;
pub mod down;
pub mod exec;
mod footprint;
pub mod forward;
pub mod handbook;
pub mod history;
pub mod init;
pub mod live;
pub mod logs;
pub mod observe;
pub mod open;
mod podless;
pub mod power;
mod process;
pub mod project;
mod resources;
pub mod restart;
pub mod scale;
pub mod secrecy;
pub mod status;
pub mod up;
pub mod validate;

pub use project::Project;
