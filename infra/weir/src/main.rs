//! The `weir` command.

mod analysis;
mod banner;
mod cli;
mod config_files;
mod cost;
mod erase;
mod events;
mod front;
mod host;
mod own_metrics;
mod roll_up;
mod routing;
mod rule_export;
mod rule_files;
mod rules;
mod sinks;
mod stack;
mod statsd;
mod stop;
mod template;
mod transfer;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Check, Cli, Command, Test};

// Bodies, records and results are allocated and freed by the megabyte; mimalloc makes that cheap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let up = match cli.command {
        Some(Command::Check(Check::Rules(check))) => return rule_files::check(&check),
        Some(Command::Check(Check::Routing(check))) => return config_files::check_routing(&check),
        Some(Command::Check(Check::Sinks(check))) => return config_files::check_sinks(&check),
        Some(Command::Check(Check::Config(check))) => return config_files::check_any(&check),
        Some(Command::Test(Test::Rules(test))) => return rule_files::test(&test),
        Some(Command::Up(up)) => *up,
        Some(Command::Rollup(settings)) => return run(roll_up::roll_up(settings)),
        Some(Command::Erase(settings)) => return run(erase::erase(settings)),
        Some(Command::Export(settings)) => return ended(transfer::export(&settings)),
        Some(Command::ExportRules(settings)) => return rule_export::export(&settings),
        Some(Command::Import(settings)) => return ended(transfer::import(&settings)),
        Some(Command::Backfill(settings)) => return ended(transfer::backfill(&settings)),
        Some(Command::Cost(settings)) => return ended(cost::cost(&settings)),
        Some(Command::DeployCheck(settings)) => return ended(cost::deploy_check(&settings)),
        Some(Command::Detect(settings)) => return ended(analysis::detect(&settings)),
        Some(Command::Forecast(settings)) => return ended(analysis::forecast(&settings)),
        None => cli.up,
    };
    run(stack::run(up))
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&anyhow::Error::new(error).context("cannot start threads")),
    };
    let done = runtime.block_on(work);
    // Work still on blocking threads is safe to abandon: what matters is durable already.
    runtime.shutdown_background();
    ended(done)
}

fn ended(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

fn failure(error: &anyhow::Error) -> ExitCode {
    banner::complain(&format!("weir: {error:#}"));
    ExitCode::FAILURE
}
