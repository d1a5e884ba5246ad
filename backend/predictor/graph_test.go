package predictor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"

	"cnnlab/backend/artifact"
	"cnnlab/backend/internal/testmodels"
	"cnnlab/backend/validation"
)

// models are made once for all tests of the package.
var models testmodels.Models

func TestMain(m *testing.M) { testmodels.Main(m, &models) }

func open(t *testing.T, model string) *Predictor {
	t.Helper()
	p, err := Open(models.Path(model), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Python's answers, made when the models were, are the oracle.
func TestAnswersAsPythonDoes(t *testing.T) {
	for _, model := range []string{"model", "other", "earlier"} {
		p := open(t, model)
		answers := models.Answers(t, model)
		if len(answers) < 10 {
			t.Fatalf("only %d answers to compare with", len(answers))
		}
		for name, expected := range answers {
			prediction, err := p.Predict(t.Context(), models.Image(t, name))
			var rejected *validation.Rejected
			if errors.As(err, &rejected) {
				if code := fmt.Sprintf("%q", rejected.Code); code != string(expected) {
					t.Errorf("%s, %s: refused as %s: expected %s", model, name, code, expected)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", model, name, err)
				continue
			}
			sameAnswer(t, name, prediction, expected)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sameAnswer compares every field; probabilities may differ by what another order of sums makes.
func sameAnswer(t *testing.T, name string, got Prediction, text json.RawMessage) {
	t.Helper()
	var expected Prediction
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&expected); err != nil {
		t.Fatalf("%s: %s: %v", name, text, err)
	}
	same := func(a, b Float) Float {
		if math.Abs(float64(a-b)) <= 1e-6 {
			return b
		}
		return a
	}
	got.ElapsedMS = expected.ElapsedMS
	got.Probability = same(got.Probability, expected.Probability)
	for index := range got.Top {
		if index < len(expected.Top) {
			top := &got.Top[index].Probability
			*top = same(*top, expected.Top[index].Probability)
		}
	}
	found, err := json.Marshal(got)
	must(t, err)
	wanted, err := json.Marshal(expected)
	must(t, err)
	if !bytes.Equal(found, wanted) {
		t.Errorf("%s: got %s: expected %s", name, found, wanted)
	}
}

func TestManyAtOnceAnswerTheSame(t *testing.T) {
	p := open(t, "model")
	var images [][]byte
	var names []string
	for name, answer := range models.Answers(t, "model") {
		if answer[0] == '{' {
			images, names = append(images, models.Image(t, name)), append(names, name)
		}
	}
	results, err := p.PredictMany(t.Context(), images, DefaultTop)
	must(t, err)
	for index, result := range results {
		sameAnswer(t, names[index], result.Prediction, models.Answers(t, "model")[names[index]])
	}
}

func TestAModelThatIsNoModel(t *testing.T) {
	if _, err := openGraph(t.TempDir(), 16, 6, 0, 0); err == nil {
		t.Error("an empty folder was loaded")
	}
	wrong, err := openGraph(models.Path("model", "saved_model"), 16, 7, 1, 1)
	must(t, err)
	defer wrong.Close()
	if rows, err := wrong.Predict([][]byte{make([]byte, 3*16*16)}); err == nil {
		t.Errorf("a contract of 7 classes got %v", rows)
	}
}

func TestLackOfMemoryIsNoFaultOfTheImage(t *testing.T) {
	var rejected *validation.Rejected
	if err := decodingError(errors.New("OOM when allocating tensor")); errors.As(err, &rejected) {
		t.Errorf("got %v", err)
	}
	if err := decodingError(errors.New("Invalid JPEG data")); !errors.As(err, &rejected) {
		t.Errorf("got %v: expected a refusal", err)
	}
}

// BenchmarkNetwork shows what batching tensors pays: ns/image at each size of batch. The
// environment variable CNNLAB_BENCH_MODEL names another model folder than the tests' own.
func BenchmarkNetwork(b *testing.B) {
	folder := os.Getenv("CNNLAB_BENCH_MODEL")
	if folder == "" {
		folder = models.Path("model")
	}
	model, err := artifact.Load(folder, nil)
	if err != nil {
		b.Fatal(err)
	}
	contract := model.Contract
	opened, err := openGraph(model.SavedModel(), contract.ImageSize,
		len(contract.ClassNames), 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer opened.Close()
	pixels := make([]byte, 3*contract.ImageSize*contract.ImageSize)
	for _, size := range []int{1, 2, 4, 8} {
		batch := make([][]byte, size)
		for index := range batch {
			batch[index] = pixels
		}
		b.Run(fmt.Sprintf("B=%d", size), func(b *testing.B) {
			for b.Loop() {
				if _, err := opened.Predict(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/image")
		})
	}
}
