package predictor

import (
	"encoding/json"
	"slices"
	"testing"

	"cnnlab/backend/artifact"
)

var someContract = artifact.Contract{ClassNames: []string{"a", "b", "c", "d", "e", "f"}, ModelID: "m"}

func TestEqualProbabilitiesKeepTheOrderOfTheLabels(t *testing.T) {
	prediction := answer(&someContract, []float32{.1, .2, .1, .3, .2, .1}, 5)
	var order []string
	for _, candidate := range prediction.Top {
		order = append(order, candidate.Label)
	}
	if !slices.Equal(order, []string{"d", "b", "e", "a", "c"}) {
		t.Errorf("got %v: expected d b e a c", order)
	}
	if prediction.Label != "d" || prediction.Probability != Float(float32(.3)) {
		t.Errorf("got %s, %v", prediction.Label, prediction.Probability)
	}
	if len(answer(&someContract, []float32{.1, .2, .1, .3, .2, .1}, 9).Top) != 6 {
		t.Error("more classes are listed than there are")
	}
}

func TestRules(t *testing.T) {
	third := float64(float32(0.3)) // above 0.3: the comparison is made on the widened float32
	for _, test := range []struct {
		name      string
		threshold float64
		plausible []string
		none      bool
	}{
		{"below all", 0, []string{"b", "a", "d", "c", "e", "f"}, false},
		{"between", 0.3, []string{"b", "a"}, false},
		{"at the widened probability", third, []string{"b", "a"}, false},
		{"just above it", third + 1e-12, []string{"b"}, false},
		{"above all", 0.9, []string{"b"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			contract := someContract
			contract.Conformal = &artifact.Rule{Threshold: test.threshold}
			contract.Novelty = &artifact.Rule{Threshold: test.threshold}
			prediction := answer(&contract, []float32{.3, .35, .1, .2, .05, 0}, 5)
			if !slices.Equal(prediction.Plausible, test.plausible) {
				t.Errorf("plausible %v: expected %v", prediction.Plausible, test.plausible)
			}
			if *prediction.NoneOfThese != test.none {
				t.Errorf("none of these %v: expected %v", *prediction.NoneOfThese, test.none)
			}
		})
	}
}

func TestPredictionAsJSON(t *testing.T) {
	contract := artifact.Contract{ClassNames: []string{"a", "b"}, ModelID: "m"}
	prediction := answer(&contract, []float32{0, 1}, 5)
	prediction.SHA256, prediction.ElapsedMS = "s", 2
	text, err := json.Marshal(prediction)
	const expected = `{"label":"b","probability":1.0,"top":[{"label":"b","probability":1.0},` +
		`{"label":"a","probability":0.0}],"plausible":[],"none_of_these":null,"cached":false,` +
		`"elapsed_ms":2.0,"sha256":"s","model_id":"m"}`
	if err != nil || string(text) != expected {
		t.Errorf("got %s, %v: expected %s", text, err, expected)
	}
}
