package predictor

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
)

// checkGolden answers for one grey image: it warms the graph, and proves that it fits the contract.
func (p *Predictor) checkGolden() error {
	size := p.model.Contract.ImageSize
	grey := image.NewNRGBA(image.Rect(0, 0, size, size))
	for index := range grey.Pix {
		grey.Pix[index] = 128
		if index%4 == 3 {
			grey.Pix[index] = 255
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, grey); err != nil {
		return fmt.Errorf("writing the golden image: %w", err)
	}
	pixels, err := p.engine.Prepare(file.Bytes())
	if err != nil {
		return p.notGolden(err)
	}
	if !bytes.Equal(pixels, bytes.Repeat([]byte{128}, 3*size*size)) {
		return p.notGolden(errors.New("a grey image came out changed"))
	}
	rows, err := p.engine.Predict([][]byte{pixels})
	if err != nil {
		return p.notGolden(err)
	}
	var sum float64
	for _, probability := range rows[0] {
		sum += float64(probability)
	}
	if !(math.Abs(sum-1) <= 1e-4) { // written so that NaN does not pass
		return p.notGolden(fmt.Errorf("probabilities sum to %v", sum))
	}
	return nil
}

func (p *Predictor) notGolden(err error) error {
	return fmt.Errorf("the model in %s does not answer as its contract says, save it again: %w",
		p.model.Folder, err)
}
