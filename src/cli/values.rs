//! Names and help of the values that a flag chooses from. The types belong to other rooms, which do not know clap.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use encoding_rs::Encoding;

use crate::charset;
use crate::output::{FORMATS, Format};

/// A charset by its name.
pub(super) fn encoding(name: &str) -> Result<&'static Encoding, String> {
    charset::named(name)
        .ok_or_else(|| "not the name of a charset, such as utf-8, utf-16, gbk, big5, shift_jis or cp1252".into())
}

macro_rules! values {
    ($type:ty { $($variant:ident = $name:literal, $help:literal;)+ }) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$variant => PossibleValue::new($name).help($help),)+
                })
            }
        }
    };
}

values!(crate::engine::Dtype {
    Auto = "auto", "On a CPU as the weights are written, where it is fast with that, else f32; on a GPU bf16";
    F32 = "f32", "4 bytes a number";
    F16 = "f16", "2 bytes a number, up to 65504; large models overflow on some texts";
    Bf16 = "bf16", "2 bytes a number, as the released weights are";
    Q8_0 = "q8_0", "8 bits a number and a scale for every 32, rounded when the model is loaded; for CPUs with AVX512-VNNI";
});

values!(crate::engine::Nli {
    Single = "single", "One label fits: the entailments of a set are compared, and its scores sum to 1";
    Multi = "multi", "Each label by itself: entailment against contradiction";
});

values!(crate::classifier::DeepReads {
    Unsure = "unsure", "Those of which the built-in model is not sure";
    All = "all", "All";
});

impl ValueEnum for &'static Format {
    fn value_variants<'a>() -> &'a [Self] {
        &FORMATS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.help))
    }
}

values!(crate::output::TextFormat {
    Jsonl = "jsonl", "One JSON object a line";
    Text = "text", "For people";
});

values!(crate::output::Color {
    Auto = "auto", "On a terminal, unless NO_COLOR is set";
    Always = "always", "Always";
    Never = "never", "Never";
});

values!(crate::output::Bom {
    Auto = "auto", "Where --output ends in .csv and the text is not ASCII";
    On = "on", "Always";
    Off = "off", "Never";
});

values!(crate::output::evaluation::JunitCases {
    Bars = "bars", "A test for each bar";
    Samples = "samples", "A test for each bar and one for each sample, which fails where its label is wrong";
});

values!(crate::output::evaluation::ReportFormat {
    Text = "text", "For people";
    Json = "json", "One JSON object, with every prediction and no text: what --baseline and --compare read";
    Markdown = "markdown", "For pull requests and build summaries";
    Html = "html", "One page with pictures, and the worst mistakes with their text";
    Junit = "junit", "XML for build servers: a test for each bar";
});

values!(crate::report::Progress {
    Auto = "auto", "When stderr is a terminal";
    Always = "always", "Always";
    Never = "never", "Never";
});

values!(crate::classifier::linear::LabelWeights {
    Balanced = "balanced", "All labels the same, however many samples each has";
    None = "none", "Each as many as it has samples";
});
