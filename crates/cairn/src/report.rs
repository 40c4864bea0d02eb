//! What a person or a program is shown while something runs: a timeline, or one JSON object a line.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// A running account of what happens.
pub struct Report {
    json: bool,
    started: Instant,
    waiting: Option<ProgressBar>,
}

impl Report {
    /// A report for a person, or (`json`) for a program.
    pub fn new(json: bool) -> Self {
        Self { json, started: Instant::now(), waiting: None }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.seconds_at(Instant::now())
    }

    fn seconds_at(&self, at: Instant) -> f64 {
        let since = at.saturating_duration_since(self.started);
        (since.as_secs_f64() * 1000.0).round() / 1000.0
    }

    /// Something that happened: a machine-readable event and the words for it.
    pub fn event(&mut self, event: &str, fields: Value, words: &str) {
        self.event_at(Instant::now(), event, fields, words);
    }

    /// As [`Self::event`], for what happened at `at`.
    pub fn event_at(&mut self, at: Instant, event: &str, mut fields: Value, words: &str) {
        self.stop_waiting();
        let seconds = self.seconds_at(at);
        if self.json {
            if let Some(object) = fields.as_object_mut() {
                object.insert("event".to_owned(), json!(event));
                object.insert("at".to_owned(), json!(seconds));
            }
            say!("{fields}");
        } else {
            say!("  {seconds:>7.2}s  {words}");
        }
    }

    /// A heading, for people only.
    pub fn heading(&mut self, words: &str) {
        self.stop_waiting();
        if !self.json {
            say!("\n{words}");
        }
    }

    /// A plain line, for people only.
    pub fn line(&mut self, words: &str) {
        self.stop_waiting();
        if !self.json {
            say!("            {words}");
        }
    }

    /// Shows that something is awaited, until the next event.
    pub fn wait(&mut self, words: &str) {
        if self.json {
            return;
        }
        let bar = self.waiting.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("  {elapsed:>8}  {spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        bar.set_message(words.to_owned());
    }

    fn stop_waiting(&mut self) {
        if let Some(bar) = self.waiting.take() {
            bar.finish_and_clear();
        }
    }

    /// The last line for a program.
    pub fn summary(&mut self, mut fields: Value) {
        self.stop_waiting();
        if self.json {
            if let Some(object) = fields.as_object_mut() {
                object.insert("event".to_owned(), json!("summary"));
            }
            say!("{fields}");
        }
    }
}
