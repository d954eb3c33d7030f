//! Charts of a report as SVG.

use std::collections::HashMap;
use std::fmt::Debug;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::prelude::{
    ChartBuilder, DrawingArea, IntoDrawingArea, IntoFont, RGBColor, SVGBackend, ShapeStyle, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform};

use super::{AbstentionPoint, ConfusionCell, LabelFigures, ReliabilityBin};
use crate::output::table::fit::fit;

const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const FAINT: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const RIGHT: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const WRONG: RGBColor = RGBColor(0xc8, 0x3e, 0x1c);
const IDEAL: RGBColor = RGBColor(0x88, 0x88, 0x88);

/// Labels of a confusion matrix. Of more labels those with the most mistakes are shown.
pub(super) const MOST_LABELS: usize = 100;
/// Pixels of the width of a matrix.
const PAGE: i32 = 900;
/// Width of a name in terminal columns, beyond which it is cut. A Chinese character takes two.
const WIDEST_NAME: usize = 28;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws an SVG of this size in pixels.
fn svg(width: u32, height: u32, draw: impl FnOnce(&Area) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        draw(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn failed(error: impl Debug) -> anyhow::Error {
    anyhow!("cannot draw: {error:?}")
}

fn font(size: u32, h: HPos, v: VPos, color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color).pos(Pos::new(h, v))
}

/// The confusion matrix: a row per true label, a column per predicted label. The colour of a cell is its share of the
/// row.
pub(super) fn confusion(labels: &[&LabelFigures], cells: &[ConfusionCell]) -> Result<String> {
    // As wide as the page, but legible.
    let cell = (PAGE / labels.len().max(1) as i32).clamp(11, 44);
    let size = if cell < 20 { 12 } else { 17 };
    let names: Vec<String> = labels.iter().map(|label| fit(&label.label, WIDEST_NAME).text).collect();
    // Approximate, as the font is not known.
    let widest = labels.iter().map(|label| fit(&label.label, WIDEST_NAME).width).max().unwrap_or(0);
    let margin = widest as i32 * size * 45 / 100 + 24;
    let side = labels.len() as i32 * cell;
    let at: HashMap<&str, usize> = labels.iter().enumerate().map(|(at, label)| (label.label.as_str(), at)).collect();
    let full = (margin + side + 16) as u32;
    svg(full, full + 20, |area| {
        let text = |text: String, place, style| area.draw(&Text::new(text, place, style)).map_err(failed);
        for (n, name) in names.iter().enumerate() {
            let middle = margin + n as i32 * cell + cell / 2;
            text(name.clone(), (margin - 8, middle + 20), font(size as u32, HPos::Right, VPos::Center, INK))?;
            let style = font(size as u32, HPos::Left, VPos::Center, INK).transform(FontTransform::Rotate270);
            text(name.clone(), (middle, margin + 12), style)?;
        }
        text("given →".into(), (margin, 12), font(14, HPos::Left, VPos::Center, IDEAL))?;
        text("true ↓".into(), (margin - 8, margin + 8), font(14, HPos::Right, VPos::Center, IDEAL))?;
        for found in cells {
            let column = found.predicted.as_deref().and_then(|label| at.get(label));
            let (Some(&row), Some(&column)) = (at.get(found.truth.as_str()), column) else {
                continue;
            };
            let share = found.count as f64 / labels[row].support.max(1) as f64;
            let base = if row == column { RIGHT } else { WRONG };
            let corner = (margin + column as i32 * cell, margin + 20 + row as i32 * cell);
            let end = (corner.0 + cell - 1, corner.1 + cell - 1);
            // A single mistake among many samples must still be visible.
            let style = ShapeStyle { color: base.mix(0.12 + 0.88 * share), filled: true, stroke_width: 0 };
            area.draw(&Rectangle::new([corner, end], style)).map_err(failed)?;
            if cell >= 24 {
                let color = if share > 0.5 { RGBColor(255, 255, 255) } else { INK };
                let place = (corner.0 + cell / 2, corner.1 + cell / 2);
                text(found.count.to_string(), place, font(15, HPos::Center, VPos::Center, color))?;
            }
        }
        let frame = ShapeStyle { color: FAINT.to_rgba(), filled: false, stroke_width: 1 };
        let corners = [(margin - 1, margin + 19), (margin + side, margin + 20 + side)];
        area.draw(&Rectangle::new(corners, frame)).map_err(failed)
    })
}

/// Names of the axes of a chart from 0 to 1.
struct Axes {
    x: &'static str,
    y: &'static str,
}

/// Reliability diagram: accuracy against mean score. Dots on the diagonal are calibrated scores.
pub(super) fn reliability(bins: &[ReliabilityBin]) -> Result<String> {
    let most = bins.iter().map(|bin| bin.samples).max().unwrap_or(0).max(1) as f64;
    let filled = bins.iter().filter(|bin| bin.samples > 0);
    let bars: Vec<([(f64, f64); 2], RGBColor)> =
        filled.clone().map(|bin| ([(bin.from, 0.0), (bin.to, 0.25 * bin.samples as f64 / most)], FAINT)).collect();
    let line: Vec<(f64, f64)> = filled.map(|bin| (bin.confidence, bin.accuracy)).collect();
    chart(&Axes { x: "mean score", y: "share that is right" }, &bars, Some([(0.0, 0.0), (1.0, 1.0)]), &line)
}

/// Accuracy against coverage.
pub(super) fn abstention(points: &[AbstentionPoint]) -> Result<String> {
    let line: Vec<(f64, f64)> = points.iter().filter_map(|point| Some((point.coverage, point.accuracy?))).collect();
    chart(&Axes { x: "coverage: share of messages that get a label", y: "accuracy of those" }, &[], None, &line)
}

fn chart(
    axes: &Axes,
    bars: &[([(f64, f64); 2], RGBColor)],
    ideal: Option<[(f64, f64); 2]>,
    line: &[(f64, f64)],
) -> Result<String> {
    svg(460, 400, |area| {
        let mut chart = ChartBuilder::on(area);
        chart.margin(14).x_label_area_size(44).y_label_area_size(54);
        let mut chart = chart.build_cartesian_2d(0.0..1.0, 0.0..1.0).map_err(failed)?;
        let number = |value: &f64| format!("{value:.1}");
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(ShapeStyle { color: FAINT.mix(0.0), filled: false, stroke_width: 0 });
        mesh.bold_line_style(FAINT).axis_style(IDEAL).x_labels(6).y_labels(6);
        mesh.label_style(font(16, HPos::Left, VPos::Top, INK)).axis_desc_style(font(17, HPos::Left, VPos::Top, INK));
        mesh.x_desc(axes.x).y_desc(axes.y).x_label_formatter(&number).y_label_formatter(&number);
        mesh.draw().map_err(failed)?;
        let bars = bars.iter().map(|(corners, color)| Rectangle::new(*corners, color.filled()));
        chart.draw_series(bars).map_err(failed)?;
        let ideal = ideal.into_iter().map(|ends| PathElement::new(ends.to_vec(), IDEAL.stroke_width(1)));
        chart.draw_series(ideal).map_err(failed)?;
        let path = PathElement::new(line.to_vec(), RIGHT.stroke_width(2));
        chart.draw_series(std::iter::once(path)).map_err(failed)?;
        let dots = line.iter().map(|&point| Circle::new(point, 4, RIGHT.filled()));
        chart.draw_series(dots).map_err(failed)?;
        Ok(())
    })
}
