//! Behind F2: what a technician reads out on the phone. Steps with times, what was expected and seen and how, and why.

use ratatui::layout::Rect;

use crate::{
    ledger::evidence::Evidence,
    session::news::{Progress, Site},
    ui::model::{Model, Over, Place, State, Step},
};

use super::{
    face,
    help::page,
    pen::{Pen, Tone},
    seconds,
};

type Lines = Vec<(String, Tone)>;

/// Draws the page of this site, or of the one in hand.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect, site: Option<Site>, scroll: u16) {
    let site = site.or_else(|| model.in_hand()).unwrap_or(Site(0));
    let Some(place) = model.place(site) else {
        page(" DETAILS ", &[("The bench is not open yet.".to_owned(), Tone::Plain)], pen, area, scroll);
        return;
    };
    let word = face::of_place(model, place).word;
    let title = format!(" DETAILS  {} {}  {word} ", site.0 + 1, place.name);
    page(&title, &lines(model, place), pen, area, scroll);
}

fn lines(model: &Model, place: &Place) -> Lines {
    let mut lines = Lines::new();
    match &place.state {
        State::Idle => {}
        State::Running(running) => lines.push((format!("serial    {}", running.serial), Tone::Strong)),
        State::Over(over) => of_outcome(over, &mut lines),
    }
    if let Some(bench) = &model.bench {
        lines.push((format!("recipe    {} {}  {}", bench.product, bench.symbols, bench.recipe.short()), Tone::Plain));
    }
    heading("steps", &mut lines);
    lines.extend(place.steps.iter().map(of_step));
    heading("expected and observed", &mut lines);
    place.evidence.iter().for_each(|evidence| of_evidence(evidence, &mut lines));
    if place.steps.is_empty() && place.evidence.is_empty() {
        lines.push(("Nothing was run here yet.".to_owned(), Tone::Plain));
    }
    lines
}

fn of_outcome(over: &Over, lines: &mut Lines) {
    let outcome = &over.outcome;
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let serial = text(outcome.serial.as_ref().map(ToString::to_string));
    let device = text(outcome.device.map(|device| device.to_string()));
    lines.push((format!("serial    {serial}   device {device}"), Tone::Strong));
    let (run, entry) =
        (text(outcome.run.map(|run| run.to_string())), text(outcome.entry.map(|entry| entry.to_string())));
    let key = text(outcome.key.map(|key| key.short()));
    lines
        .push((format!("run       {run}   entry {entry}   key {key}   took {}", seconds(outcome.took.0)), Tone::Plain));
    let Some(fault) = &outcome.fault else { return };
    lines.push((format!("code      {}   {}   ({})", fault.code, fault.what, fault.party), Tone::Strong));
    lines.extend(fault.causes.iter().map(|cause| (format!("because   {cause}"), Tone::Plain)));
}

fn heading(text: &str, lines: &mut Lines) {
    lines.push((String::new(), Tone::Plain));
    lines.push((text.to_owned(), Tone::Strong));
}

fn of_step(step: &Step) -> (String, Tone) {
    let (mark, word) = match step.progress {
        Progress::Begun | Progress::Going { .. } => ("▸", "under way"),
        Progress::Done => ("✔", "done"),
        Progress::Stopped => ("✖", "STOPPED"),
    };
    let took = seconds(step.last.0.saturating_sub(step.began.0));
    (format!("  {mark} {word:<10} {took:>8}   {}", step.name), Tone::Plain)
}

fn of_evidence(evidence: &Evidence, lines: &mut Lines) {
    let (mark, word) = match (&evidence.observed, evidence.agrees) {
        (None, _) => ("○", "not seen"),
        (Some(_), true) => ("✔", "agrees"),
        (Some(_), false) => ("✖", "DIFFERS"),
    };
    let tone = if word == "DIFFERS" { Tone::Strong } else { Tone::Plain };
    lines.push((format!("  {mark} {word:<10} {}   ({})", evidence.of, evidence.method), tone));
    let values = [("expected", &evidence.expected), ("observed", &evidence.observed)];
    for (name, value) in values {
        lines.extend(value.iter().map(|value| (format!("      {name} {value}"), tone)));
    }
}
