//! The tracers of `debug_trace*` that watch one execution: one, or those of a `muxTracer`, until a deadline.

use crate::error::{ChainError, Result};
use crate::frames::{Recorder, Stepwise};
use alloy_primitives::{Address, Log, U256};
use alloy_rpc_types::trace::geth::{
    GethDebugBuiltInTracerType as BuiltIn, GethDebugTracerConfig, GethDebugTracerType,
    GethDebugTracingOptions,
};
use revm::Inspector;
use revm::context_interface::ContextTr;
use revm::inspector::JournalExt;
use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter};
use revm_inspectors::tracing::{
    DebugInspector, DebugInspectorError, TraceLimitBehavior, TraceLimits,
};
use serde_json::Value;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// Most bytes of call inputs, memory and the like that a trace copies.
const MAX_TRACE_BYTES: usize = 256 << 20;
/// The clock is looked at once in so many steps.
const STEPS_PER_LOOK: u32 = 64;
/// Longest duration that is read, in bytes.
const MAX_DURATION: usize = 64;

/// The tracers, and how long they may watch.
#[derive(Debug)]
pub struct Tracers {
    pub(crate) each: Vec<Stepwise<DebugInspector>>,
    /// Names of the parts of a `muxTracer`, in the order of `each`.
    pub(crate) names: Option<Vec<BuiltIn>>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    steps: u32,
    /// The deadline has passed: the execution is being ended.
    late: bool,
}

pub(crate) fn bad_tracer<E: Display>(error: DebugInspectorError<E>) -> ChainError {
    match error {
        DebugInspectorError::Database(e) => ChainError::Internal(e.to_string()),
        other => ChainError::InvalidParams(other.to_string()),
    }
}

/// Bounds what the tracer copies: without it, one call that loops fills any memory.
fn bounded(inspector: DebugInspector, bytes: usize) -> DebugInspector {
    let limits = TraceLimits::default()
        .set_max_recorded_bytes(Some(bytes))
        .set_behavior(TraceLimitBehavior::Halt);
    match inspector {
        DebugInspector::CallTracer(i, c) => DebugInspector::CallTracer(i.with_limits(limits), c),
        DebugInspector::PreStateTracer(i, c) => {
            DebugInspector::PreStateTracer(i.with_limits(limits), c)
        }
        DebugInspector::FlatCallTracer(i) => DebugInspector::FlatCallTracer(i.with_limits(limits)),
        DebugInspector::Erc7562Tracer(i, c) => {
            DebugInspector::Erc7562Tracer(i.with_limits(limits), c)
        }
        DebugInspector::Default(i, c) => DebugInspector::Default(i.with_limits(limits), c),
        other => other,
    }
}

fn refuse_js(tracer: &GethDebugTracerType) -> Result<()> {
    if tracer.is_js() && !tracer.as_str().is_empty() {
        let message = "tracer not found: JavaScript tracers are not served. Use callTracer, flatCallTracer, \
                       prestateTracer, 4byteTracer, erc7562Tracer, noopTracer, muxTracer of these, or none for struct logs";
        return Err(ChainError::InvalidParams(message.into()));
    }
    Ok(())
}

fn tracer(options: GethDebugTracingOptions, bytes: usize) -> Result<Stepwise<DebugInspector>> {
    let inspector = DebugInspector::new(options).map_err(bad_tracer)?;
    Ok(Stepwise::new(bounded(inspector, bytes)))
}

/// The parts of a `muxTracer`: each by its name, with its configuration or null.
fn parts(config: GethDebugTracerConfig) -> Result<Vec<(BuiltIn, GethDebugTracingOptions)>> {
    let wrong = |why: &str| ChainError::InvalidParams(format!("muxTracer: {why}"));
    let Value::Object(parts) = config.into_json() else {
        return Err(wrong("tracerConfig must be an object of tracers and their configurations"));
    };
    parts
        .into_iter()
        .map(|(name, config)| {
            let tracer = serde_json::from_value(Value::String(name))
                .map_err(|_| wrong("invalid name of a tracer"))?;
            refuse_js(&tracer)?;
            match tracer {
                GethDebugTracerType::BuiltInTracer(BuiltIn::MuxTracer) => {
                    Err(wrong("a muxTracer cannot be part of one"))
                }
                GethDebugTracerType::BuiltInTracer(built_in) => {
                    let options = GethDebugTracingOptions {
                        tracer: Some(built_in.into()),
                        tracer_config: GethDebugTracerConfig(config),
                        ..GethDebugTracingOptions::default()
                    };
                    Ok((built_in, options))
                }
                GethDebugTracerType::JsTracer(_) => Err(wrong("a part needs a name")),
            }
        })
        .collect()
}

impl Tracers {
    /// The tracers that the options ask for.
    pub(crate) fn new(mut options: GethDebugTracingOptions) -> Result<Self> {
        let timeout = options.timeout.take().map(|text| duration(&text)).transpose()?;
        if let Some(tracer) = &options.tracer {
            refuse_js(tracer)?;
        }
        let is_mux = options.tracer == Some(BuiltIn::MuxTracer.into());
        let (names, each) = if is_mux {
            let parts = parts(options.tracer_config)?;
            // Each has a share of what one may copy.
            let bytes = MAX_TRACE_BYTES / parts.len().max(1);
            let (names, options): (_, Vec<_>) = parts.into_iter().unzip();
            let each = options.into_iter().map(|o| tracer(o, bytes)).collect::<Result<_>>()?;
            (Some(names), each)
        } else {
            (None, vec![tracer(options, MAX_TRACE_BYTES)?])
        };
        Ok(Self { each, names, timeout, deadline: None, steps: 0, late: false })
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self) {
        self.deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        (self.steps, self.late) = (0, false);
    }

    /// A call or creation begins.
    pub(crate) fn enter(&mut self) {
        self.each.iter_mut().for_each(Stepwise::enter);
    }

    /// A call or creation ended.
    pub(crate) fn leave(&mut self) {
        self.each.iter_mut().for_each(Stepwise::leave);
    }

    /// Why the trace is not whole, if the tracers themselves ended the execution.
    pub(crate) fn cut(&self) -> Option<ChainError> {
        if self.late {
            // Geth's words.
            return Some(ChainError::Halted("execution timeout".into()));
        }
        let full = self
            .each
            .iter()
            .any(|tracer| tracer.recorder_ref().is_some_and(|r| r.limit_exceeded()));
        full.then(|| {
            let most = MAX_TRACE_BYTES;
            ChainError::LimitExceeded(format!("the trace copies more than {most} bytes"))
        })
    }

    fn is_late(&mut self) -> bool {
        if let Some(deadline) = self.deadline
            && !self.late
        {
            self.late = self.steps.is_multiple_of(STEPS_PER_LOOK) && Instant::now() >= deadline;
            self.steps = self.steps.wrapping_add(1);
        }
        self.late
    }
}

/// A duration as Go writes it: `5s`, `1m30s`, `1.5h`, `300ms`.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || {
        let shown: String = text.chars().take(MAX_DURATION).collect();
        ChainError::InvalidParams(format!("time: invalid duration \"{shown}\""))
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() || text.len() > MAX_DURATION {
        return Err(wrong());
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let scale = match &unit[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(wrong()),
        };
        seconds += number.parse::<f64>().map_err(|_| wrong())? * scale;
        rest = &unit[end..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX> for Tracers {
    fn initialize_interp(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        for tracer in &mut self.each {
            Inspector::<CTX>::initialize_interp(&mut tracer.inner, interp, context);
        }
    }

    fn step(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        if self.is_late() {
            // As does every caller's next step.
            interp.halt_oog();
            return;
        }
        for tracer in &mut self.each {
            Inspector::<CTX>::step(&mut tracer.inner, interp, context);
        }
    }

    fn step_end(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        for tracer in &mut self.each {
            Inspector::<CTX>::step_end(&mut tracer.inner, interp, context);
        }
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        for tracer in &mut self.each {
            Inspector::<CTX>::log(&mut tracer.inner, context, log.clone());
        }
    }

    fn log_full(&mut self, interp: &mut Interpreter, context: &mut CTX, log: Log) {
        for tracer in &mut self.each {
            Inspector::<CTX>::log_full(&mut tracer.inner, interp, context, log.clone());
        }
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let mut outcome = None;
        for tracer in &mut self.each {
            let its = Inspector::<CTX>::call(&mut tracer.inner, context, inputs);
            outcome = outcome.or(its);
        }
        outcome
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        for tracer in &mut self.each {
            Inspector::<CTX>::call_end(&mut tracer.inner, context, inputs, outcome);
        }
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let mut outcome = None;
        for tracer in &mut self.each {
            let its = Inspector::<CTX>::create(&mut tracer.inner, context, inputs);
            outcome = outcome.or(its);
        }
        outcome
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        for tracer in &mut self.each {
            Inspector::<CTX>::create_end(&mut tracer.inner, context, inputs, outcome);
        }
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        for tracer in &mut self.each {
            Inspector::<CTX>::selfdestruct(&mut tracer.inner, contract, target, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_are_gos() {
        for (text, millis) in
            [("5s", 5_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("300ms", 300), ("0", 0)]
        {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        assert_eq!(duration("3µs").unwrap(), Duration::from_micros(3));
        for bad in ["", "5", "s", "5 s", "-1s", "1d", "..s", "1s2", "99999999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(duration(&"1h".repeat(MAX_DURATION)).is_err());
    }

    fn tracers(options: Value) -> Result<Tracers> {
        Tracers::new(serde_json::from_value(options).unwrap())
    }

    #[test]
    fn parts_of_a_mux_are_known_tracers() {
        let config = json!({ "callTracer": { "withLog": true }, "4byteTracer": null });
        let mux = tracers(json!({ "tracer": "muxTracer", "tracerConfig": config })).unwrap();
        assert_eq!((mux.each.len(), mux.names.unwrap().len()), (2, 2));
        for bad in [
            json!(null),
            json!([]),
            json!({ "muxTracer": {} }),
            json!({ "": null }),
            json!({ "fooTracer": null }),
            json!({ "callTracer": 7 }),
        ] {
            let made = tracers(json!({ "tracer": "muxTracer", "tracerConfig": bad }));
            assert!(matches!(made, Err(ChainError::InvalidParams(_))), "{bad}");
        }
        let js = tracers(json!({ "tracer": "{step: function() {}}" })).unwrap_err();
        assert!(js.to_string().contains("JavaScript tracers are not served"), "{js}");
        assert!(tracers(json!({ "tracer": "" })).is_ok(), "geth's name of struct logs");
    }
}
