//! The state of all work on the whole screen of a terminal, anew every second. It must not know what the lines say.

use std::io::IsTerminal as _;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line as Shown, Text};
use ratatui::widgets::Paragraph;
use redis_wb_runtime::Phase;
use redis_wb_runtime::status::Observer;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::sleep;

use super::table::{Kind, Line, lines};
use crate::exit::Failure;

/// How often it is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How soon a key, or what is new, is seen.
const KEY_AGAIN: Duration = Duration::from_millis(100);

/// What was seen last, or why nothing was.
type Seen = Option<Result<Vec<Line>, String>>;

/// Shows it until `q` is pressed.
pub(super) fn show(runtime: &Runtime, mut observer: Observer) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::with_help("`--live` needs a terminal", "leave it out, or use `--format json`"));
    }
    let (sender, mut seen) = watch::channel::<Seen>(None);
    let looks = runtime.spawn(async move {
        loop {
            let looked = observer.look().await;
            let looked = looked.map(|status| lines(&status)).map_err(|error| match error.help() {
                Some(help) => format!("{error}\n{help}"),
                None => error.to_string(),
            });
            if sender.send(Some(looked)).is_err() {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    });
    let unable = |error: std::io::Error| Failure::Unable { message: format!("the screen: {error}"), help: None };
    let mut terminal = ratatui::try_init().map_err(unable)?;
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let shown = run(&mut terminal, &mut seen, colours);
    ratatui::restore();
    looks.abort();
    shown.map_err(unable)
}

fn run(
    terminal: &mut ratatui::DefaultTerminal,
    seen: &mut watch::Receiver<Seen>,
    colours: bool,
) -> std::io::Result<()> {
    let mut from = 0_u16;
    loop {
        terminal.draw(|frame| draw(frame, &seen.borrow_and_update(), &mut from, colours))?;
        while !event::poll(KEY_AGAIN)? && !seen.has_changed().unwrap_or(false) {}
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
                && pressed(key, &mut from)
            {
                return Ok(());
            }
        }
    }
}

/// Moves as a key says; whether it ends.
fn pressed(key: KeyEvent, from: &mut u16) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Down | KeyCode::Char('j') => *from = from.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => *from = from.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => *from = from.saturating_add(10),
        KeyCode::PageUp => *from = from.saturating_sub(10),
        KeyCode::Home => *from = 0,
        _ => {}
    }
    false
}

fn draw(frame: &mut Frame<'_>, seen: &Seen, from: &mut u16, colours: bool) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    let time = jiff::Timestamp::now().strftime("%H:%M:%S UTC").to_string();
    frame.render_widget(Shown::from(format!("redis-wb status  {time}")).bold(), head);
    let text = match seen {
        None => Text::from("looking…"),
        Some(Err(why)) => Text::from(format!("nothing is seen: {why}")),
        Some(Ok(lines)) => lines.iter().map(|line| shown(line, colours)).collect(),
    };
    let below = u16::try_from(text.height()).unwrap_or(u16::MAX).saturating_sub(body.height);
    *from = (*from).min(below);
    let more = if below > *from { "  more below: arrow keys" } else { "" };
    frame.render_widget(Paragraph::new(text).scroll((*from, 0)), body);
    frame.render_widget(Shown::from(format!("q ends{more}")), foot);
}

fn shown(line: &Line, colours: bool) -> Shown<'_> {
    let text = Shown::from(line.text.as_str());
    match line.kind {
        Kind::Title => text.bold(),
        Kind::Row(phase) if colours => text.style(Style::new().fg(colour(phase))),
        Kind::Row(_) | Kind::Note => text,
    }
}

const fn colour(phase: Phase) -> Color {
    match phase {
        Phase::Running => Color::Green,
        Phase::Starting | Phase::Slow | Phase::Waiting => Color::Yellow,
        Phase::Stopped | Phase::Left | Phase::Unattended | Phase::Silent => Color::Red,
    }
}
